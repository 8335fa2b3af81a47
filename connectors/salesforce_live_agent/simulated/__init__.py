"""Parts of the simulated service. `connectors.salesforce_live_agent.simulator` puts them together."""
