"""What all clips of an audit say together."""
