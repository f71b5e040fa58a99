"""One module a scenario, each with `run(options) -> exit code`; `bench.options.SCENARIOS` names them."""
