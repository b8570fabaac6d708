//! Icons, drawn: they look the same in every language and need no font. Each verdict has a shape of
//! its own, so that colour is never the only difference.

use std::f32::consts::{FRAC_PI_4, FRAC_PI_8};

use egui::{Color32, Painter, Pos2, Rect, Shape, Stroke, Vec2, pos2, vec2};

use crate::domain::Verdict;

/// The verdict's large shape, within the square around `rect`'s centre.
pub fn verdict(painter: &Painter, verdict: Verdict, rect: Rect, colour: Color32) {
    let frame = Frame::of(rect);
    let stroke = Stroke::new(frame.side * 0.085, colour);
    match verdict {
        Verdict::Pass => {
            painter.circle_stroke(frame.at(0.5, 0.5), frame.side * 0.455, stroke);
            tick(painter, &frame, colour);
        }
        Verdict::Fail => {
            painter.add(Shape::closed_line(octagon(&frame, 0.455), stroke));
            let thick = Stroke::new(frame.side * 0.115, colour);
            painter.line_segment([frame.at(0.35, 0.35), frame.at(0.65, 0.65)], thick);
            painter.line_segment([frame.at(0.65, 0.35), frame.at(0.35, 0.65)], thick);
        }
        Verdict::Held => {
            painter.circle_stroke(frame.at(0.5, 0.5), frame.side * 0.455, stroke);
            bars(painter, &frame, 0.29, 0.71, 0.115, colour);
        }
        Verdict::Error => {
            let corners = vec![frame.at(0.5, 0.09), frame.at(0.95, 0.9), frame.at(0.05, 0.9)];
            painter.add(Shape::closed_line(corners, stroke));
            painter.line_segment([frame.at(0.5, 0.36), frame.at(0.5, 0.63)], Stroke::new(frame.side * 0.1, colour));
            painter.circle_filled(frame.at(0.5, 0.755), frame.side * 0.058, colour);
        }
        Verdict::Aborted => {
            let thick = Stroke::new(frame.side * 0.115, colour);
            painter.line_segment([frame.at(0.02, 0.5), frame.at(0.36, 0.5)], thick);
            painter.line_segment([frame.at(0.64, 0.5), frame.at(0.98, 0.5)], thick);
            painter.line_segment([frame.at(0.31, 0.72), frame.at(0.45, 0.28)], stroke);
            painter.line_segment([frame.at(0.55, 0.72), frame.at(0.69, 0.28)], stroke);
        }
    }
}

/// The same shapes filled, for chips and pills of a line's height; `ground` is what they lie on.
pub fn mark(painter: &Painter, verdict: Verdict, rect: Rect, colour: Color32, ground: Color32) {
    let frame = Frame::of(rect);
    match verdict {
        Verdict::Pass => {
            painter.circle_filled(frame.at(0.5, 0.5), frame.side * 0.5, colour);
            let thin = Stroke::new(frame.side * 0.14, ground);
            painter.line(vec![frame.at(0.26, 0.52), frame.at(0.43, 0.69), frame.at(0.74, 0.34)], thin);
        }
        Verdict::Fail => {
            painter.add(Shape::convex_polygon(octagon(&frame, 0.54), colour, Stroke::NONE));
            let thin = Stroke::new(frame.side * 0.14, ground);
            painter.line_segment([frame.at(0.3, 0.3), frame.at(0.7, 0.7)], thin);
            painter.line_segment([frame.at(0.7, 0.3), frame.at(0.3, 0.7)], thin);
        }
        Verdict::Held => bars(painter, &frame, 0.02, 0.98, 0.3, colour),
        Verdict::Error => {
            let corners = vec![frame.at(0.5, 0.02), frame.at(1.04, 0.96), frame.at(-0.04, 0.96)];
            painter.add(Shape::convex_polygon(corners, colour, Stroke::NONE));
        }
        Verdict::Aborted => {
            let thick = Stroke::new(frame.side * 0.26, colour);
            painter.line_segment([frame.at(0.0, 0.5), frame.at(0.38, 0.5)], thick);
            painter.line_segment([frame.at(0.62, 0.5), frame.at(1.0, 0.5)], thick);
        }
    }
}

/// The edge of a tile that a verdict fills, no wider than `room`: where nobody sees colours, in a black-and-white
/// photograph or from the side, a frame is a FAIL, stripes are an ERROR, bars at both sides HELD, a broken frame
/// ABORTED, and a plain tile a PASS.
pub fn edge(painter: &Painter, verdict: Verdict, rect: Rect, room: Vec2, colour: Color32) {
    // Not at the very rim, where it would pass for what lies beside the tile.
    let thick = (room.min_elem() * 0.42).max(2.0);
    let inset = (room.min_elem() * 0.3).max(1.0);
    match verdict {
        Verdict::Pass => {}
        Verdict::Fail => {
            painter.rect_stroke(rect.shrink(inset), 4.0, Stroke::new(thick, colour), egui::StrokeKind::Inside);
        }
        Verdict::Aborted => {
            let line = rect.shrink(inset + thick / 2.0);
            let corners = [line.left_top(), line.right_top(), line.right_bottom(), line.left_bottom(), line.left_top()];
            let dash = thick * 4.0;
            painter.extend(Shape::dashed_line(&corners, Stroke::new(thick, colour), dash, dash));
        }
        Verdict::Held => {
            let wide = room.x * 0.45;
            for left in [rect.left() + room.x * 0.3, rect.right() - room.x * 0.3 - wide] {
                let bar = Rect::from_min_size(pos2(left, rect.top() + inset), vec2(wide, rect.height() - inset * 2.0));
                painter.rect_filled(bar, 0.0, colour);
            }
        }
        Verdict::Error => {
            let wide = room.x * 0.7;
            for left in [rect.left() + room.x * 0.1, rect.right() - room.x * 0.1 - wide] {
                let band = Rect::from_min_size(pos2(left, rect.top()), vec2(wide, rect.height()));
                stripes(painter, band.shrink2(vec2(0.0, inset)), colour);
            }
        }
    }
}

/// Slanted bars as high as they are apart, from the top of `band` to its bottom.
fn stripes(painter: &Painter, band: Rect, colour: Color32) {
    let count = (band.height() / (band.width() * 2.4)).round().max(3.0);
    let step = band.height() / count;
    for at in 0..count as usize {
        let top = band.top() + at as f32 * step;
        let corners = vec![
            pos2(band.left(), top + step * 0.38),
            pos2(band.right(), top),
            pos2(band.right(), top + step * 0.62),
            pos2(band.left(), top + step),
        ];
        painter.add(Shape::convex_polygon(corners, colour, Stroke::NONE));
    }
}

/// A plug: nothing is in the lane.
pub fn plug(painter: &Painter, rect: Rect, colour: Color32) {
    let frame = Frame::of(rect);
    let stroke = Stroke::new(frame.side * 0.07, colour);
    let body = Rect::from_min_max(frame.at(0.04, 0.3), frame.at(0.6, 0.7));
    painter.rect_stroke(body, frame.side * 0.08, stroke, egui::StrokeKind::Inside);
    painter.line_segment([frame.at(0.6, 0.4), frame.at(0.78, 0.4)], stroke);
    painter.line_segment([frame.at(0.6, 0.6), frame.at(0.78, 0.6)], stroke);
    painter.line_segment([frame.at(0.88, 0.5), frame.at(0.98, 0.5)], stroke);
}

/// A barcode: the lane waits for the scanner.
pub fn barcode(painter: &Painter, rect: Rect, colour: Color32) {
    let frame = Frame::of(rect);
    for (x, width) in [(0.06, 0.07), (0.2, 0.04), (0.31, 0.1), (0.48, 0.04), (0.59, 0.07), (0.74, 0.04), (0.86, 0.08)] {
        let bar = Rect::from_min_max(frame.at(x, 0.2), frame.at(x + width, 0.8));
        painter.rect_filled(bar, 0.0, colour);
    }
}

/// Diagonal stripes across `rect`: unmistakably not the real line.
pub fn hatch(painter: &Painter, rect: Rect, stripe: Color32, ground: Color32) {
    let painter = painter.with_clip_rect(rect.intersect(painter.clip_rect()));
    painter.rect_filled(rect, 0.0, ground);
    let step = 24.0;
    let mut x = rect.left() - rect.height();
    while x < rect.right() + rect.height() {
        painter.line_segment(
            [pos2(x, rect.bottom() + 4.0), pos2(x + rect.height() + 8.0, rect.top() - 4.0)],
            Stroke::new(step * 0.38, stripe),
        );
        x += step;
    }
}

/// Coordinates within a square: (0, 0) is its left top, (1, 1) its right bottom.
struct Frame {
    origin: Pos2,
    side: f32,
}

impl Frame {
    fn of(rect: Rect) -> Frame {
        let side = rect.width().min(rect.height());
        Frame { origin: rect.center() - Vec2::splat(side / 2.0), side }
    }

    fn at(&self, x: f32, y: f32) -> Pos2 {
        self.origin + vec2(x, y) * self.side
    }
}

fn octagon(frame: &Frame, radius: f32) -> Vec<Pos2> {
    (0..8)
        .map(|corner| {
            let angle = FRAC_PI_8 + FRAC_PI_4 * corner as f32;
            frame.at(0.5 + radius * angle.cos(), 0.5 + radius * angle.sin())
        })
        .collect()
}

fn tick(painter: &Painter, frame: &Frame, colour: Color32) {
    let stroke = Stroke::new(frame.side * 0.105, colour);
    painter.line(vec![frame.at(0.29, 0.52), frame.at(0.44, 0.67), frame.at(0.71, 0.36)], stroke);
}

fn bars(painter: &Painter, frame: &Frame, top: f32, bottom: f32, width: f32, colour: Color32) {
    let gap = width * 0.55;
    for x in [0.5 - gap - width, 0.5 + gap] {
        let bar = Rect::from_min_max(frame.at(x, top), frame.at(x + width, bottom));
        painter.rect_filled(bar, 0.0, colour);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use egui::epaint::Primitive;

    const SIDE: usize = 48;

    /// A black-and-white photograph, `SIDE` pixels square, of what `draw` draws.
    fn photograph(draw: impl Fn(&Painter, Rect)) -> Vec<bool> {
        let ctx = egui::Context::default();
        let square = Rect::from_min_size(pos2(0.0, 0.0), Vec2::splat(SIDE as f32));
        let input = egui::RawInput { screen_rect: Some(square), ..egui::RawInput::default() };
        let mut output = ctx.run_ui(input, |ui| draw(&ui.painter().with_clip_rect(square), square));
        output.textures_delta.clear();
        let mut seen = vec![false; SIDE * SIDE];
        for primitive in ctx.tessellate(output.shapes, 1.0) {
            let Primitive::Mesh(mesh) = primitive.primitive else { continue };
            for corners in mesh.indices.chunks_exact(3) {
                let [a, b, c] = [0, 1, 2].map(|at| mesh.vertices[corners[at] as usize]);
                // The feathered rim is half there.
                if [a, b, c].iter().any(|vertex| vertex.color.a() < 128) {
                    continue;
                }
                for (at, pixel) in seen.iter_mut().enumerate() {
                    let point = pos2((at % SIDE) as f32 + 0.5, (at / SIDE) as f32 + 0.5);
                    if inside(point, a.pos, b.pos, c.pos) {
                        *pixel = a.color.r() < 128;
                    }
                }
            }
        }
        seen
    }

    fn inside(point: Pos2, a: Pos2, b: Pos2, c: Pos2) -> bool {
        let side = |from: Pos2, to: Pos2| (to - from).x * (point - from).y - (to - from).y * (point - from).x;
        let sides = [side(a, b), side(b, c), side(c, a)];
        sides.iter().all(|side| *side >= 0.0) || sides.iter().all(|side| *side <= 0.0)
    }

    /// Nobody needs to see a colour: in one ink on one paper no two verdicts look alike, be it the icon beside the word,
    /// the mark in the strip of results, or the edge of the tile.
    #[test]
    fn no_two_verdicts_look_alike_in_black_and_white() {
        let theme = crate::gui::theme::Theme::of(crate::config::Look::Light);
        let (ink, paper) = (theme.ink, theme.surface);
        type Draw = fn(&Painter, Verdict, Rect, Color32, Color32);
        let icon: Draw = |painter, of, rect, ink, _| verdict(painter, of, rect, ink);
        let chip: Draw = |painter, of, rect, ink, paper| mark(painter, of, rect, ink, paper);
        let tile: Draw = |painter, of, rect, ink, _| edge(painter, of, rect, Vec2::splat(6.0), ink);
        for (what, draw, least) in [("icon", icon, 0.08), ("mark", chip, 0.08), ("edge", tile, 0.03)] {
            let photographs = Verdict::ALL
                .map(|verdict| (verdict, photograph(|painter, rect| draw(painter, verdict, rect, ink, paper))));
            for (at, (one, seen)) in photographs.iter().enumerate() {
                for (other, also) in &photographs[..at] {
                    let differ = seen.iter().zip(also).filter(|(a, b)| a != b).count();
                    let part = differ as f64 / (SIDE * SIDE) as f64;
                    assert!(part >= least, "the {what} of {one:?} and {other:?} differ in {part} of it");
                }
            }
        }
    }
}
