"""What connectors to Salesforce share: ids, the settings and manners of its two chats. No connector itself."""
