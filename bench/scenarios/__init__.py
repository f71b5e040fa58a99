"""Hold one module per scenario, each with `run(options) -> exit code`; `bench.options.SCENARIOS` names them."""
