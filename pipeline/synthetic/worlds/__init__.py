"""The places that synthetic clips play in, built from primitives, height fields and procedural textures."""
