"""π³ and Pi3X: geometry on clips with truth; they track nothing, and learn nothing from pseudo tracks."""

from trainer.families.pi3.family import Pi3Family, Pi3Losses

__all__ = ["Pi3Family", "Pi3Losses"]
