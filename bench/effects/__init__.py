"""Does what an act of the autopilot was foretold to bring come true? On replays of real streams, as `flyball replay` lives them."""
