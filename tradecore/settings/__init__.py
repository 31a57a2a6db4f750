"""The settings: sections and their units, profiles, and the origin of each value."""

from tradecore.settings.duration import duration_s as duration_s
from tradecore.settings.profiles import find_profile as find_profile
from tradecore.settings.profiles import profile_folder as profile_folder
from tradecore.settings.resolve import Origin as Origin
from tradecore.settings.resolve import Resolved as Resolved
from tradecore.settings.resolve import all_keys as all_keys
from tradecore.settings.resolve import resolve as resolve
from tradecore.settings.sections import Settings as Settings
