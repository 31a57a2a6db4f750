"""The composition root: the one place that knows every name and puts a run together.

``prepare`` reads settings, admits guests and opens the market, and is all that can refuse a person's wish;
``execute`` runs what was prepared and returns its summary and exit code.
"""

from tradecore.app.execute import execute as execute
from tradecore.app.prepare import Options as Options
from tradecore.app.prepare import Prepared as Prepared
from tradecore.app.prepare import prepare as prepare
from tradecore.app.session import Outcome as Outcome
from tradecore.app.session import Screen as Screen
