//! Design tokens: the only place with colours, sizes and fonts.
//!
//! Calm surfaces and ink; colour for nothing but verdicts, health and the practice line.
#![allow(clippy::disallowed_methods, reason = "this is the place")]

use std::sync::Arc;

use egui::{Color32, FontData, FontDefinitions, FontFamily, FontId, FontTweak, Stroke};

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
    /// A question or a warning that concerns no lane.
    pub notice: Paint,
    pub practice: Paint,
    /// PRACTICE written behind the text of a tile.
    pub watermark: Color32,
}

impl Theme {
    pub fn light() -> Theme {
        let white = Color32::WHITE;
        let ink = Color32::from_rgb(0x14, 0x17, 0x1C);
        Theme {
            ink,
            muted: Color32::from_rgb(0x5B, 0x64, 0x70),
            line: Color32::from_rgb(0xD0, 0xD5, 0xDC),
            ground: Color32::from_rgb(0xEE, 0xF0, 0xF3),
            surface: white,
            accent: Color32::from_rgb(0x0B, 0x4F, 0x9E),
            pass: Paint { fill: Color32::from_rgb(0x07, 0x60, 0x2F), text: white },
            fail: Paint { fill: Color32::from_rgb(0xA3, 0x12, 0x1A), text: white },
            error: Paint { fill: Color32::from_rgb(0xF5, 0xB3, 0x01), text: ink },
            aborted: Paint { fill: Color32::from_rgb(0x4A, 0x52, 0x60), text: white },
            held: Paint { fill: Color32::from_rgb(0x0B, 0x4F, 0x9E), text: white },
            notice: Paint { fill: Color32::from_rgb(0xFF, 0xF3, 0xD6), text: ink },
            practice: Paint { fill: Color32::from_rgb(0x5A, 0x1A, 0x8C), text: white },
            watermark: Color32::from_rgb(0xEF, 0xE8, 0xF6),
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

    pub fn hairline(&self) -> Stroke {
        Stroke::new(1.0, self.line)
    }

    /// Gives `ctx` these colours and our fonts, and takes away everything that moves by itself: an
    /// idle window draws nothing.
    pub fn apply(&self, ctx: &egui::Context) {
        ctx.set_fonts(fonts());
        ctx.set_theme(egui::ThemePreference::Light);
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
    let theme = Theme::light();
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

#[cfg(test)]
mod tests {
    use super::*;

    /// WCAG 2.2, "relative luminance".
    fn luminance(colour: Color32) -> f64 {
        let linear = |channel: u8| {
            let c = f64::from(channel) / 255.0;
            if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(colour.r()) + 0.7152 * linear(colour.g()) + 0.0722 * linear(colour.b())
    }

    fn contrast(a: Color32, b: Color32) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn verdicts_have_contrast_7_and_everything_else_4_5() {
        let theme = Theme::light();
        for verdict in [Verdict::Pass, Verdict::Fail, Verdict::Error, Verdict::Aborted, Verdict::Held] {
            let Paint { fill, text } = theme.verdict(verdict);
            assert!(contrast(fill, text) >= 7.0, "{verdict:?}: {}", contrast(fill, text));
        }
        for paint in [theme.notice, theme.practice] {
            assert!(contrast(paint.fill, paint.text) >= 7.0);
        }
        for text in [theme.ink, theme.muted, theme.accent] {
            for ground in [theme.surface, theme.ground, theme.notice.fill, theme.watermark] {
                assert!(contrast(text, ground) >= 4.5, "{text:?} on {ground:?}: {}", contrast(text, ground));
            }
        }
    }
}
