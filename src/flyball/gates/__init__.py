"""Evidence in; may this version be registered? Pure."""
