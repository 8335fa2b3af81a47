"""The story of `omnibridge demo --story salesforce`."""
