"""The words of made-up prompts."""

from __future__ import annotations

from typing import Final

_TEXT: Final = (
    "able acre age air alarm album amber angle anvil apple april arch arrow atlas aunt axis badge "
    "baker bamboo barn basin beach bean bell berry birch blade blanket boat bolt bone book border "
    "bottle bowl branch bread brick bridge broom brush bucket butter button cabin cable cactus camel "
    "camp candle canoe canvas carbon carpet castle cattle cedar chain chalk cheese cherry chimney "
    "circle clay cliff clock cloud clover coal coast cobalt comet copper coral cotton cousin crane "
    "crater cream crown crystal current curtain daisy dawn delta desert diesel dinner doctor dolphin "
    "donkey dragon drum dune eagle earth echo elbow ember engine envelope estate fabric falcon farm "
    "feather fence ferry fiber field finger flame flint flour flute forest fossil fountain frost "
    "garden garlic gate giant ginger glacier glass globe glove grain granite grape gravel guitar "
    "hammer harbor harvest hazel helmet honey horizon horse hotel iceberg island ivory jacket jar "
    "jungle kettle kitchen kite ladder lagoon lamp lantern lawn leather lemon letter lily linen lion "
    "lobby locket lumber magnet mango maple marble market meadow melon mercury metal mill mineral "
    "mirror mist monkey moon moss motor mountain museum mustard needle nest nickel north notebook "
    "oak oasis ocean office olive onion orbit orchard otter oven owl paddle painter palace panel "
    "paper parade pearl pebble pencil pepper piano pigeon pillow pine pipe planet plum pocket pond "
    "poplar portrait potato powder prairie puzzle quarry quartz quilt rabbit radar raft railway raven "
    "reef ribbon ridge river robin rocket saddle sail salmon satin shelf shell silver spider spoon "
    "spring stone summit sugar tiger timber"
)
WORDS: Final = tuple(_TEXT.split())
"""256 of them, so that a byte draws one."""
