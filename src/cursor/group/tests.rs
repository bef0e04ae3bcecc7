//! Replay groups by rule, and against a plain table under random coming and going.
