"""Parts of the simulated org. `connectors.salesforce_messaging.simulator` puts them together."""
