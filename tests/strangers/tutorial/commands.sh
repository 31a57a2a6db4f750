# [install]
./go run version            # installs the core, its plugins and the test tools into .venv: 20 s the first time
. .venv/bin/activate
cd ..                       # a plugin is a project of its own
# [/install]
# [new]
tradecore plugins new rebound --hooks signal --summary "Buy a deep fall once it has begun to turn."
cd tradecore-rebound
pip install -e .
# [/new]
# [found]
tradecore plugins list
tradecore plugins info rebound
tradecore run --profile trial.toml --speed max --for 20m
# [/found]
# [prove]
ruff check . && mypy && pytest tests/test_rebound.py
tradecore plugins check rebound
# [/prove]
# [run]
tradecore config check --profile trial.toml
tradecore run --profile trial.toml --speed max --state first
tradecore query intents --state first --limit 5
# [/run]
# [switch]
tradecore plugins disable rebound --profile trial.toml
tradecore plugins enable rebound --profile trial.toml --before size_fixed
tradecore config diff demo trial.toml
tradecore run --profile twice.toml --speed max --for 20m
# [/switch]
# [ship]
pip wheel --no-deps -w dist .
# [/ship]
# [kinds]
tradecore plugins new quiet_hours --hooks signal            # a filter: role = "filter" makes it one
tradecore plugins new size_by_range --hooks size
tradecore plugins new exec_patient --hooks route_order
tradecore plugins new universe_named --hooks universe
# [/kinds]
