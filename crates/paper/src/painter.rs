//! A PDF page interpreted a second time, for what its pixels don't say: which of them are an
//! image's or a shading's, and what was painted on top. Nothing is drawn and no image decoded, but
//! for masks that stand on tone.

use hayro::hayro_interpret::font::{Glyph, GlyphRun, PositionedGlyph};
use hayro::hayro_interpret::hayro_syntax::page::Page;
use hayro::hayro_interpret::pattern::Pattern;
use hayro::hayro_interpret::{
    BlendMode, ClipPath, Context, Device, DrawMode, DrawProps, FillRule, Image, ImageDrawProps,
    InterpreterCache, InterpreterSettings, Paint, SoftMask, StencilImage, StrokeProps,
    interpret_page,
};
use hayro::kurbo::{self, Affine, BezPath, Point, Rect, Shape as _};

use crate::grey::{Grey, luma};
use crate::layers::{self, Kind, Layers};
use crate::shapes::{Brush, Span, fill, thickness};

/// Strokes of what is writing by its look, at most, in pixels: 2 mm.
const THICK: f64 = 16.0;
/// An outline differs by this from the picture under it, or is part of the picture.
const APART: u8 = 60;
/// A picture this light is paper to letters on it.
const WHITE: u8 = 240;
/// What lets more through than this, of 1, is no cover.
const CLEAR: f32 = 0.9;
/// A picture reaches this many pixels further than its corners say: its edge shares pixels with the paper.
const EDGE: f64 = 0.75;

/// Fills `layers` in from a page, drawn by that transform as `grey`.
pub(crate) fn look<'a>(
    page: &'a Page<'a>,
    transform: Affine,
    cache: &InterpreterCache<'a>,
    settings: &InterpreterSettings,
    grey: &Grey,
    layers: Layers,
) -> Layers {
    let target = Rect::new(0.0, 0.0, grey.width as f64, grey.height as f64);
    let mut context = Context::new(transform, target, cache, page.xref(), settings.clone());
    let mut painter = Painter {
        grey,
        clips: Vec::new(),
        groups: Vec::new(),
        in_glyph: false,
        ground: None,
        layers,
    };
    interpret_page(page, &mut context, &mut painter);
    painter.layers.rim();
    painter.layers
}

struct Clip {
    span: Span,
    /// Its shape, where that isn't the box.
    shape: Option<(BezPath, Brush)>,
}

struct Group {
    opacity: f32,
    masked: bool,
}

struct Painter<'g> {
    grey: &'g Grey,
    clips: Vec<Clip>,
    groups: Vec<Group>,
    in_glyph: bool,
    /// The grey under a run of glyphs, which are all of one colour.
    ground: Option<u8>,
    layers: Layers,
}

impl Painter<'_> {
    fn span(&self, rect: Rect) -> Span {
        Span::of(rect, self.layers.width, self.layers.height).with(&self.clip())
    }

    fn clip(&self) -> Span {
        let page = self.layers.page();
        self.clips.last().map_or(page, |clip| clip.span.clone())
    }

    fn push(&mut self, rect: Rect, shape: Option<(BezPath, Brush)>) {
        let span = self.span(rect);
        self.clips.push(Clip { span, shape });
    }

    fn masked(&self) -> bool {
        self.groups.iter().any(|group| group.masked)
    }

    fn opacity(&self, own: f32) -> f32 {
        self.groups.iter().fold(own, |a, group| a * group.opacity)
    }

    /// Paints a path's pixels, as far as all clips let it.
    fn paint(
        &mut self,
        path: &BezPath,
        brush: Brush,
        span: &Span,
        mut give: impl FnMut(&mut Layers, usize, std::ops::Range<usize>),
    ) {
        let shapes = self.clips.iter().filter_map(|clip| clip.shape.as_ref());
        let mut mask = None;
        for (shape, brush) in shapes {
            let Some(left) = self.layers.budget.checked_sub(span.area()) else {
                return;
            };
            self.layers.budget = left;
            let inside = Mask::of(shape, *brush, span, &mut self.layers.budget);
            mask = Some(match mask {
                None => inside,
                Some(mask) => inside.with(mask),
            });
        }
        self.layers.paint(path, brush, span, |layers, y, columns| {
            let Some(mask) = &mask else {
                return give(layers, y, columns);
            };
            for x in columns.filter(|&x| mask.has(x, y)) {
                give(layers, y, x..x + 1);
            }
        });
    }

    /// A picture or a shading, a quadrilateral or any other shape.
    fn tone(&mut self, kind: Kind, path: &BezPath, brush: Brush) {
        let span = self.span(layers::larger(path.bounding_box(), EDGE));
        if span.is_empty() {
            return;
        }
        let owner = self.layers.owner(kind, span.clone());
        // What is on the edge is half paper, and no ink for that.
        let brush = Brush {
            slack: EDGE,
            ..brush
        };
        for by in [-EDGE, 0.0, EDGE] {
            let path = Affine::translate((0.0, by)) * path;
            self.paint(&path, brush, &span, |layers, y, columns| {
                layers.give(owner, y, columns);
            });
        }
    }

    /// A filled path in one colour.
    fn solid(&mut self, path: &BezPath, brush: Brush, light: u8, opacity: f32) {
        let span = self.span(path.bounding_box());
        if span.is_empty() || !self.layers.has_tone(&span) {
            return;
        }
        let thick = thickness(path) > THICK;
        if self.in_glyph || !thick {
            let wide = span.wider(4, self.grey.width, self.grey.height);
            let own = self.ground;
            let Some(ground) = own.or_else(|| self.layers.ground(self.grey, &wide)) else {
                return;
            };
            let apart = if self.in_glyph { 0 } else { APART };
            if ground.abs_diff(light) >= apart && opacity * 2.0 > 1.0 {
                let brush = Brush {
                    even_odd: brush.even_odd,
                    ..Brush::STROKES
                };
                self.letter(path, brush, span, light, ground);
            }
        } else if opacity > CLEAR {
            self.paint(path, brush, &span, Layers::cover);
        }
    }

    fn letter(&mut self, path: &BezPath, brush: Brush, span: Span, light: u8, ground: u8) {
        let owner = if light < ground {
            layers::DARK
        } else {
            layers::LIGHT
        };
        self.paint(path, brush, &span, |layers, y, columns| {
            layers.letter(owner, y, columns);
        });
        self.layers.letters_at(span);
    }

    fn path(&mut self, path: &BezPath, props: &DrawProps<'_>, mode: &DrawMode) {
        let fill = |rule: &FillRule| Brush {
            even_odd: *rule == FillRule::EvenOdd,
            ..Brush::PLAIN
        };
        let (brush, outline) = match mode {
            DrawMode::Fill(rule) | DrawMode::FillAndStroke(rule, _) => {
                (fill(rule), props.transform * path)
            }
            DrawMode::Stroke(stroke) => {
                let reach = path
                    .bounding_box()
                    .inflate(stroke.line_width.into(), stroke.line_width.into());
                let span = self.span(props.transform.transform_rect_bbox(reach));
                // Most strokes stand on paper, and outlines of strokes take time.
                if !self.layers.has_tone(&span) {
                    return;
                }
                (Brush::PLAIN, props.transform * outline(path, stroke))
            }
            DrawMode::Invisible => return,
        };
        match &props.paint {
            Paint::Pattern(pattern) => {
                if matches!(**pattern, Pattern::Shading(_)) && !self.in_glyph {
                    self.tone(Kind::Shading, &outline, brush);
                }
            }
            Paint::Color(color) => {
                let [r, g, b, a] = color.to_rgba().to_rgba8();
                if props.soft_mask.is_some() || self.masked() {
                    self.tone(Kind::Shading, &outline, brush);
                } else if props.blend_mode == BlendMode::Normal {
                    let opacity = self.opacity(f32::from(a) / 255.0);
                    self.solid(&outline, brush, luma([r, g, b]), opacity);
                }
            }
        }
    }

    /// The part of a mask that is painted, where it stands on tone as writing does.
    fn stencil(&mut self, stencil: &StencilImage<'_, '_>, transform: Affine, span: Span) {
        if !self.layers.has_tone(&span) {
            return;
        }
        let mut points = None;
        stencil.with_stencil(
            |mask, paint| {
                let Paint::Color(color) = paint else { return };
                let [r, g, b, _] = color.to_rgba().to_rgba8();
                let painted = mask.data.iter().filter(|&&v| v > 127).count();
                if painted * 2 > mask.data.len() {
                    return;
                }
                let (x, y) = mask.scale_factors;
                let back = (transform * Affine::scale_non_uniform(x.into(), y.into())).inverse();
                let (width, height) = (mask.width as usize, mask.height as usize);
                let mut inside = Vec::new();
                for y in span.rows.clone() {
                    for x in span.columns.clone() {
                        let at = back * Point::new(x as f64 + 0.5, y as f64 + 0.5);
                        let (column, row) = (at.x.floor(), at.y.floor());
                        if column >= 0.0
                            && row >= 0.0
                            && (column as usize) < width
                            && (row as usize) < height
                            && mask.data[row as usize * width + column as usize] > 127
                        {
                            inside.push((x, y));
                        }
                    }
                }
                points = Some((luma([r, g, b]), inside));
            },
            None,
        );
        let Some((light, points)) = points else {
            return;
        };
        if let Some(ground) = self.layers.ground(self.grey, &span) {
            let owner = if light < ground {
                layers::DARK
            } else {
                layers::LIGHT
            };
            for (x, y) in points {
                self.layers.letter(owner, y, x..x + 1);
            }
            self.layers.letters_at(span);
        }
    }
}

impl<'a> Device<'a> for Painter<'_> {
    fn draw_path(&mut self, path: &BezPath, props: DrawProps<'a>, mode: &DrawMode) {
        self.path(path, &props, mode);
    }

    fn push_clip_path(&mut self, clip: &ClipPath) {
        let brush = Brush {
            even_odd: clip.fill == FillRule::EvenOdd,
            // The edge belongs to what is clipped.
            slack: EDGE,
            ..Brush::PLAIN
        };
        let bounds = layers::larger(clip.path.bounding_box(), EDGE);
        self.push(bounds, Some((clip.path.clone(), brush)));
    }

    fn push_clip_rect(&mut self, rect: &Rect) {
        self.push(*rect, None);
    }

    fn push_transparency_group(&mut self, opacity: f32, mask: Option<SoftMask<'a>>, _: BlendMode) {
        self.groups.push(Group {
            opacity,
            masked: mask.is_some(),
        });
    }

    fn draw_glyph_run(&mut self, run: &GlyphRun<'_, 'a>, props: DrawProps<'a>, mode: &DrawMode) {
        let Paint::Color(color) = &props.paint else {
            return;
        };
        // A scan's text layer is invisible.
        if matches!(mode, DrawMode::Invisible) {
            return;
        }
        let [r, g, b, a] = color.to_rgba().to_rgba8();
        if self.opacity(f32::from(a) / 255.0) * 2.0 < 1.0 {
            return;
        }
        let place = |glyph: &PositionedGlyph<'_>| {
            let transform = props.transform * glyph.transform();
            // Glyphs are a thousand units high; what reaches out further is drawn with the rest.
            let reach = Rect::new(-200.0, -400.0, 1200.0, 1200.0);
            (transform, transform.transform_rect_bbox(reach))
        };
        let all = run.glyphs().iter().map(|glyph| place(glyph).1);
        let Some(all) = all.reduce(|a, b| a.union(b)) else {
            return;
        };
        let all = self.span(all);
        if !self.layers.has_tone(&all) {
            return;
        }
        self.ground = self.layers.ground(self.grey, &all);
        // Where the picture is white, the threshold draws letters better.
        let dark = luma([r, g, b]) < 128;
        if self.ground.is_none_or(|ground| dark && ground >= WHITE) {
            self.ground = None;
            return;
        }
        for glyph in run.glyphs() {
            let (transform, reach) = place(glyph);
            if !self.layers.has_tone(&self.span(reach)) {
                continue;
            }
            match &**glyph {
                Glyph::Outline(outline_glyph) => {
                    let mut path = outline_glyph.outline();
                    if let DrawMode::Stroke(stroke) = mode {
                        path = outline(
                            &path,
                            &StrokeProps {
                                // The width is the page's, not the glyph's.
                                line_width: stroke.line_width
                                    / glyph.transform().determinant().abs().sqrt().max(1e-6) as f32,
                                ..stroke.clone()
                            },
                        );
                    }
                    let was = std::mem::replace(&mut self.in_glyph, true);
                    self.solid(&(transform * path), Brush::PLAIN, luma([r, g, b]), 1.0);
                    self.in_glyph = was;
                }
                Glyph::Type3(drawn) => {
                    let was = std::mem::replace(&mut self.in_glyph, true);
                    drawn.interpret(self, props.transform, glyph.transform(), &props.paint);
                    self.in_glyph = was;
                }
            }
        }
        self.ground = None;
    }

    fn draw_image(&mut self, image: Image<'a, '_>, props: ImageDrawProps<'a>) {
        let (width, height) = (f64::from(image.width()), f64::from(image.height()));
        let transform = props.transform;
        match image {
            Image::Stencil(stencil) => {
                let rect = transform.transform_rect_bbox(Rect::new(0.0, 0.0, width, height));
                let span = self.span(rect);
                if !span.is_empty() {
                    self.stencil(&stencil, transform, span);
                }
            }
            Image::Raster(raster) => {
                let corners = transform * Rect::new(0.0, 0.0, width, height).to_path(0.1);
                let dict = raster.stream().dict();
                let bits = dict
                    .get::<u32>(b"BitsPerComponent")
                    .or_else(|| dict.get(b"BPC"));
                if bits == Some(1) {
                    let span = self.span(corners.bounding_box());
                    self.paint(&corners, Brush::PLAIN, &span, Layers::cover);
                } else {
                    self.tone(Kind::Picture, &corners, Brush::PLAIN);
                }
            }
        }
    }

    fn pop_clip(&mut self) {
        self.clips.pop();
    }

    fn pop_transparency_group(&mut self) {
        self.groups.pop();
    }
}

/// The outline of a stroke.
fn outline(path: &BezPath, stroke: &StrokeProps) -> BezPath {
    let style = kurbo::Stroke::new(f64::from(stroke.line_width))
        .with_caps(stroke.line_cap)
        .with_join(stroke.line_join);
    kurbo::stroke(path.iter(), &style, &kurbo::StrokeOpts::default(), 0.25)
}

/// The pixels of a clip, within a box.
struct Mask {
    span: Span,
    inside: Vec<bool>,
}

impl Mask {
    fn of(path: &BezPath, brush: Brush, span: &Span, budget: &mut usize) -> Self {
        let mut inside = vec![false; span.area()];
        let (across, left, top) = (span.columns.len(), span.columns.start, span.rows.start);
        fill(path, brush, span, budget, |y, columns| {
            inside[(y - top) * across..][columns.start - left..columns.end - left].fill(true);
        });
        Self {
            span: span.clone(),
            inside,
        }
    }

    fn with(mut self, other: Self) -> Self {
        for (a, b) in self.inside.iter_mut().zip(other.inside) {
            *a &= b;
        }
        self
    }

    fn has(&self, x: usize, y: usize) -> bool {
        let (x, y) = (x - self.span.columns.start, y - self.span.rows.start);
        self.inside[y * self.span.columns.len() + x]
    }
}
