"""How each role can look in each domain."""

from pipeline.synthetic.worlds import patterns, weathered
from pipeline.synthetic.worlds.materials import Look

STUDIO_LOOKS: dict[str, tuple[Look, ...]] = {
    "floor": (Look(paint=patterns.boards, tile_m=1.4), Look(paint=patterns.tiles, tile_m=1.6), Look(paint=patterns.terrazzo, tile_m=1.2)),
    "wall": (Look(paint=patterns.painted, tile_m=1.5), Look(paint=patterns.bricks, tile_m=1.4), Look(paint=patterns.tiles, tile_m=1.0)),
    "ceiling": (Look(paint=patterns.slabs, tile_m=2.0),),
    "wood": (Look(paint=patterns.boards, tile_m=0.9),),
    "cloth": (Look(paint=patterns.checks, tile_m=0.9), Look(paint=patterns.ribbons, tile_m=0.8), Look(paint=patterns.dots, tile_m=0.9)),
    "print": (Look(paint=patterns.dots, tile_m=1.0), Look(paint=patterns.ribbons, tile_m=1.0), Look(paint=patterns.checks, tile_m=1.0)),
    "road": (Look(paint=patterns.asphalt, tile_m=4.0),),
    "pavement": (Look(paint=patterns.slabs, tile_m=1.6), Look(paint=patterns.tiles, tile_m=1.6)),
    "facade": (Look(paint=patterns.facade, tile_m=5.6),),
    "roof": (Look(paint=patterns.bricks, tile_m=1.6),),
    "trunk": (Look(paint=patterns.timber, tile_m=0.7),),
    "rubber": (Look(paint=patterns.rubber, tile_m=0.5),),
    "foliage": (Look(paint=patterns.foliage, tile_m=1.3),),
    "ground": (Look(paint=patterns.lawn, tile_m=3.0), Look(paint=patterns.sand, tile_m=2.4)),
    "rock": (Look(paint=patterns.slabs, tile_m=2.0), Look(paint=patterns.terrazzo, tile_m=1.5)),
    "metal": (Look(paint=patterns.painted, tile_m=0.8),),
    "mover": (
        Look(paint=patterns.checks, tile_m=0.8),
        Look(paint=patterns.ribbons, tile_m=0.8),
        Look(paint=patterns.dots, tile_m=0.8),
        Look(paint=patterns.terrazzo, tile_m=0.7),
    ),
}

WILD_LOOKS: dict[str, tuple[Look, ...]] = {
    "floor": (
        Look(paint=weathered.rotten, tile_m=1.5),
        Look(paint=weathered.stained, tile_m=2.2),
        Look(paint=weathered.gravel, tile_m=1.6),
    ),
    "wall": (
        Look(paint=weathered.flaking, tile_m=2.2),
        Look(paint=weathered.stained, tile_m=2.5),
        Look(paint=weathered.rotten, tile_m=1.6),
    ),
    "ceiling": (Look(paint=weathered.rotten, tile_m=1.8),),
    "wood": (Look(paint=weathered.rotten, tile_m=0.9), Look(paint=weathered.bark, tile_m=0.9)),
    "cloth": (Look(paint=weathered.camouflage, tile_m=0.9), Look(paint=weathered.mottled, tile_m=0.8)),
    "print": (Look(paint=weathered.stained, tile_m=1.0), Look(paint=weathered.rusty, tile_m=1.0)),
    "road": (Look(paint=weathered.sett, tile_m=2.4), Look(paint=weathered.gravel, tile_m=2.2), Look(paint=weathered.stained, tile_m=3.0)),
    "pavement": (Look(paint=weathered.gravel, tile_m=1.5), Look(paint=weathered.mottled, tile_m=2.0)),
    "facade": (Look(paint=weathered.ruin, tile_m=5.0), Look(paint=weathered.flaking, tile_m=3.0)),
    "roof": (Look(paint=weathered.rusty, tile_m=1.6),),
    "trunk": (Look(paint=weathered.bark, tile_m=0.8),),
    "rubber": (Look(paint=patterns.rubber, tile_m=0.5),),
    "foliage": (Look(paint=weathered.thicket, tile_m=1.1),),
    "ground": (
        Look(paint=weathered.wild_grass, tile_m=2.2),
        Look(paint=weathered.mottled, tile_m=3.0),
        Look(paint=weathered.gravel, tile_m=2.2),
    ),
    "rock": (Look(paint=weathered.strata, tile_m=1.8), Look(paint=weathered.mottled, tile_m=1.4)),
    "metal": (Look(paint=weathered.rusty, tile_m=0.8),),
    "mover": (
        Look(paint=weathered.camouflage, tile_m=0.8),
        Look(paint=weathered.mottled, tile_m=0.7),
        Look(paint=weathered.strata, tile_m=0.8),
        Look(paint=weathered.rusty, tile_m=0.9),
    ),
}
