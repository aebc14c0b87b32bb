"""refined-flow: chains of dis-flow, refined by our own small network, whose weights come with the package."""
