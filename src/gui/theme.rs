//! Design tokens: the only place with colours, sizes and fonts.
//!
//! Calm surfaces and ink; colour for nothing but verdicts, health and the practice line.
#![allow(clippy::disallowed_methods, reason = "this is the place")]

use std::sync::Arc;

use egui::{Color32, FontData, FontDefinitions, FontFamily, FontId, FontTweak, Stroke};

use crate::config::Look;
use crate::domain::Verdict;

/// Sizes in points (logical pixels).
pub mod size {
    /// A gloved finger hits this: the least height of anything that can be pressed.
    pub const TOUCH: f32 = 44.0;
    pub const GAP: f32 = 16.0;
    pub const RADIUS: f32 = 10.0;
    /// Below this no text is drawn.
    pub const SMALLEST: f32 = 11.0;
    pub const SMALL: f32 = 14.0;
    pub const BODY: f32 = 17.0;
    pub const LARGE: f32 = 22.0;
    /// Sentences in tiles take the largest of these that fits.
    pub const SENTENCES: [f32; 13] = [48.0, 40.0, 34.0, 30.0, 26.0, 23.0, 20.0, 18.0, 16.0, 14.0, 13.0, 12.0, SMALLEST];
    /// The width that headers and footers are designed for; narrower windows shrink them.
    pub const DESIGN_WIDTH: f32 = 1920.0;
    /// The least that the window is laid out for.
    pub const LEAST: egui::Vec2 = egui::vec2(1280.0, 800.0);
    /// The practice line's controls.
    pub const PRACTICE_PANEL: f32 = 300.0;
    pub const PRACTICE_BANNER: f32 = 30.0;
    pub const PRACTICE_EDGE: f32 = 12.0;
}

/// A filled surface and what is written on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paint {
    pub fill: Color32,
    pub text: Color32,
}

/// One set of colours.
#[derive(Debug, Clone)]
pub struct Theme {
    pub look: Look,
    pub ink: Color32,
    pub muted: Color32,
    pub line: Color32,
    /// Behind everything.
    pub ground: Color32,
    /// Tiles, header, footer.
    pub surface: Color32,
    /// The step that runs, the focus ring.
    pub accent: Color32,
    pub pass: Paint,
    pub fail: Paint,
    pub error: Paint,
    pub aborted: Paint,
    pub held: Paint,
    /// The verdicts' colours where they are drawn or written on a surface instead of filled, in the order of
    /// [`Verdict::ALL`].
    marks: [Color32; 5],
    /// A question or a warning that concerns no lane.
    pub notice: Paint,
    pub practice: Paint,
    /// PRACTICE written behind the text of a tile.
    pub watermark: Color32,
}

impl Theme {
    pub fn of(look: Look) -> Theme {
        match look {
            Look::Light => Theme::light(),
            Look::Dark => Theme::dark(),
            Look::Contrast => Theme::contrast(),
        }
    }

    fn light() -> Theme {
        let white = Color32::WHITE;
        let ink = Color32::from_rgb(0x14, 0x17, 0x1C);
        let [pass, fail, held] = verdict_fills();
        let aborted = Color32::from_rgb(0x4A, 0x52, 0x60);
        Theme {
            look: Look::Light,
            ink,
            muted: Color32::from_rgb(0x5B, 0x64, 0x70),
            line: Color32::from_rgb(0xD0, 0xD5, 0xDC),
            ground: Color32::from_rgb(0xEE, 0xF0, 0xF3),
            surface: white,
            accent: held,
            pass: Paint { fill: pass, text: white },
            fail: Paint { fill: fail, text: white },
            error: Paint { fill: Color32::from_rgb(0xF5, 0xB3, 0x01), text: ink },
            aborted: Paint { fill: aborted, text: white },
            held: Paint { fill: held, text: white },
            marks: [pass, fail, Color32::from_rgb(0x8A, 0x5A, 0x00), aborted, held],
            notice: Paint { fill: Color32::from_rgb(0xFF, 0xF3, 0xD6), text: ink },
            practice: practice(),
            watermark: Color32::from_rgb(0xEF, 0xE8, 0xF6),
        }
    }

    /// For a dim hall: the verdicts shine as in the light one, and nothing else does.
    fn dark() -> Theme {
        let white = Color32::WHITE;
        let ink = Color32::from_rgb(0xEE, 0xF0, 0xF3);
        let [pass, fail, held] = verdict_fills();
        let amber = Color32::from_rgb(0xF5, 0xB3, 0x01);
        Theme {
            look: Look::Dark,
            ink,
            muted: Color32::from_rgb(0xA8, 0xB1, 0xBD),
            line: Color32::from_rgb(0x3C, 0x45, 0x51),
            ground: Color32::from_rgb(0x0E, 0x11, 0x15),
            surface: Color32::from_rgb(0x1A, 0x1F, 0x26),
            accent: Color32::from_rgb(0x7D, 0xB4, 0xFF),
            pass: Paint { fill: pass, text: white },
            fail: Paint { fill: fail, text: white },
            error: Paint { fill: amber, text: Color32::from_rgb(0x14, 0x17, 0x1C) },
            aborted: Paint { fill: Color32::from_rgb(0x4A, 0x52, 0x60), text: white },
            held: Paint { fill: held, text: white },
            marks: [
                Color32::from_rgb(0x4C, 0xC3, 0x8A),
                Color32::from_rgb(0xFF, 0x8A, 0x8A),
                amber,
                Color32::from_rgb(0xB4, 0xBC, 0xC8),
                Color32::from_rgb(0x8A, 0xB8, 0xFF),
            ],
            notice: Paint { fill: Color32::from_rgb(0x3A, 0x2F, 0x12), text: Color32::from_rgb(0xFF, 0xF3, 0xD6) },
            practice: practice(),
            watermark: Color32::from_rgb(0x2A, 0x21, 0x36),
        }
    }

    /// For weak eyes and bad light: black and white, and a PASS is bright where a FAIL is dark.
    fn contrast() -> Theme {
        let (white, black) = (Color32::WHITE, Color32::BLACK);
        let green = Color32::from_rgb(0x2E, 0xE0, 0x7A);
        let yellow = Color32::from_rgb(0xFF, 0xD5, 0x00);
        let blue = Color32::from_rgb(0xA9, 0xCE, 0xFF);
        Theme {
            look: Look::Contrast,
            ink: white,
            muted: Color32::from_rgb(0xE6, 0xE6, 0xE6),
            line: Color32::from_rgb(0x8C, 0x8C, 0x8C),
            ground: black,
            surface: black,
            accent: Color32::from_rgb(0x66, 0xE0, 0xFF),
            pass: Paint { fill: green, text: black },
            fail: Paint { fill: Color32::from_rgb(0x8A, 0x00, 0x0A), text: white },
            error: Paint { fill: yellow, text: black },
            aborted: Paint { fill: Color32::from_rgb(0x3A, 0x3F, 0x47), text: white },
            held: Paint { fill: blue, text: black },
            marks: [green, Color32::from_rgb(0xFF, 0x8A, 0x8A), yellow, white, blue],
            notice: Paint { fill: yellow, text: black },
            practice: practice(),
            watermark: Color32::from_rgb(0x2A, 0x14, 0x3A),
        }
    }

    pub fn verdict(&self, verdict: Verdict) -> Paint {
        match verdict {
            Verdict::Pass => self.pass,
            Verdict::Fail => self.fail,
            Verdict::Error => self.error,
            Verdict::Aborted => self.aborted,
            Verdict::Held => self.held,
        }
    }

    /// The verdict's colour for a mark or a word on a surface.
    pub fn mark(&self, verdict: Verdict) -> Color32 {
        let at = Verdict::ALL.iter().position(|known| *known == verdict).unwrap_or_default();
        self.marks[at]
    }

    pub fn hairline(&self) -> Stroke {
        Stroke::new(1.0, self.line)
    }

    /// Gives `ctx` these colours, and takes away everything that moves by itself: an idle window draws nothing.
    pub fn apply(&self, ctx: &egui::Context) {
        ctx.set_theme(match self.look {
            Look::Light => egui::ThemePreference::Light,
            Look::Dark | Look::Contrast => egui::ThemePreference::Dark,
        });
        ctx.all_styles_mut(|style| {
            style.animation_time = 0.0;
            style.visuals.text_cursor.blink = false;
            style.visuals.override_text_color = Some(self.ink);
            style.visuals.panel_fill = self.ground;
            style.visuals.text_edit_bg_color = Some(self.surface);
            style.visuals.selection.bg_fill = self.line;
            style.visuals.selection.stroke = Stroke::new(2.0, self.accent);
            for widget in [
                &mut style.visuals.widgets.inactive,
                &mut style.visuals.widgets.hovered,
                &mut style.visuals.widgets.active,
            ] {
                widget.bg_stroke = Stroke::new(1.5, self.ink);
            }
        });
    }
}

/// The verdicts whose colours are the same by day and by night: PASS, FAIL, HELD.
fn verdict_fills() -> [Color32; 3] {
    [Color32::from_rgb(0x07, 0x60, 0x2F), Color32::from_rgb(0xA3, 0x12, 0x1A), Color32::from_rgb(0x0B, 0x4F, 0x9E)]
}

fn practice() -> Paint {
    Paint { fill: Color32::from_rgb(0x5A, 0x1A, 0x8C), text: Color32::WHITE }
}

/// Gives `ctx` our fonts, once: they are read anew each time.
pub fn install_fonts(ctx: &egui::Context) {
    ctx.set_fonts(fonts());
}

/// The two weights of the window's typeface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    Regular,
    Bold,
}

pub fn font(weight: Weight, size: f32) -> FontId {
    let family = match weight {
        Weight::Regular => FontFamily::Proportional,
        Weight::Bold => FontFamily::Name("bold".into()),
    };
    FontId::new(size, family)
}

/// The window's icon: a board under a seal, 64 by 64.
pub fn icon() -> egui::IconData {
    let theme = Theme::of(Look::Light);
    let side: i32 = 64;
    let mut rgba = Vec::with_capacity((side * side * 4) as usize);
    for y in 0..side {
        for x in 0..side {
            let seal = (x - 38).pow(2) + (y - 26).pow(2);
            let letter =
                (12..22).contains(&x) && (10..54).contains(&y) || (12..52).contains(&x) && (44..54).contains(&y);
            let colour = match seal {
                0..=196 => theme.pass.fill,
                197..=270 => theme.surface,
                _ if letter => theme.surface,
                _ => theme.ink,
            };
            rgba.extend_from_slice(&colour.to_array());
        }
    }
    egui::IconData { rgba, width: side as u32, height: side as u32 }
}

/// Only our own fonts: a character that they lack would be one that no translation may use.
fn fonts() -> FontDefinitions {
    let mut fonts = FontDefinitions::empty();
    let regular: &[u8] = include_bytes!("../../assets/fonts/BIZUDPGothic-Regular.ttf");
    let bold: &[u8] = include_bytes!("../../assets/fonts/BIZUDPGothic-Bold.ttf");
    // The files carry no hints, and making them up costs a walk over all glyphs at every new size.
    let unhinted = FontTweak { hinting: Some(false), ..FontTweak::default() };
    for (name, bytes) in [("regular", regular), ("bold", bold)] {
        let data = FontData::from_static(bytes).tweak(unhinted.clone());
        fonts.font_data.insert(name.into(), Arc::new(data));
    }
    fonts.families.insert(FontFamily::Proportional, vec!["regular".into()]);
    fonts.families.insert(FontFamily::Monospace, vec!["regular".into()]);
    fonts.families.insert(FontFamily::Name("bold".into()), vec!["bold".into(), "regular".into()]);
    fonts
}

/// How well a text of one colour is read on the other: 1 (not at all) to 21 (black on white).
#[cfg(test)]
pub(super) fn contrast(a: Color32, b: Color32) -> f64 {
    /// WCAG 2.2, "relative luminance".
    fn luminance(colour: Color32) -> f64 {
        let linear = |channel: u8| {
            let c = f64::from(channel) / 255.0;
            if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(colour.r()) + 0.7152 * linear(colour.g()) + 0.0722 * linear(colour.b())
    }
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_have_contrast_7_and_everything_else_4_5_in_every_theme() {
        for theme in Look::ALL.map(Theme::of) {
            let look = theme.look;
            for verdict in Verdict::ALL {
                let Paint { fill, text } = theme.verdict(verdict);
                assert!(contrast(fill, text) >= 7.0, "{look:?} {verdict:?}: {}", contrast(fill, text));
            }
            for paint in [theme.notice, theme.practice] {
                assert!(contrast(paint.fill, paint.text) >= 7.0, "{look:?}");
            }
            for text in [theme.ink, theme.muted, theme.accent] {
                for ground in [theme.surface, theme.ground, theme.watermark] {
                    assert!(
                        contrast(text, ground) >= 4.5,
                        "{look:?}: {text:?} on {ground:?}: {}",
                        contrast(text, ground)
                    );
                }
            }
            for verdict in Verdict::ALL {
                let on_surface = contrast(theme.mark(verdict), theme.surface);
                assert!(on_surface >= 4.5, "{look:?}: the mark of {verdict:?} has {on_surface}");
            }
            // What is on and what has the focus is seen, too (WCAG 2.2, 1.4.11).
            assert!(contrast(theme.accent, theme.surface) >= 3.0 && contrast(theme.ink, theme.surface) >= 7.0);
        }
    }

    /// By colour alone the light and the dark theme can't tell them apart in a black-and-white photograph: there it
    /// is shape, word and edge (`widgets/shapes`). The high-contrast theme can.
    #[test]
    fn in_high_contrast_a_pass_is_bright_and_a_fail_is_dark() {
        let theme = Theme::of(Look::Contrast);
        assert!(contrast(theme.pass.fill, theme.fail.fill) >= 4.5);
        for theme in Look::ALL.map(Theme::of) {
            assert!(contrast(theme.error.fill, theme.fail.fill) >= 3.0, "{:?}", theme.look);
            assert!(contrast(theme.error.fill, theme.aborted.fill) >= 3.0, "{:?}", theme.look);
        }
    }
}
