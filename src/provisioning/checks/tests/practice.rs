//! The practice line's vendor, made by another encoder than the forge, under the same checks.
