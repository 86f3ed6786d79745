//! PDF pages drawn straight in grey, as nearly all can be: letters, lines, fills, shadings and pictures, each
//! on top of what is there.
//!
//! hayro's own drawing keeps a page in colour with transparency, 16 MB that are cleared, painted and turned
//! grey; here a letter is a copy of what was drawn of it before. What needs more than that (patterns of
//! tiles, blending, masks) is noticed, and hayro draws such a page. What both draw is alike: letters
//! are hinted and placed, lines made a pixel wide, by hayro's rules.

mod clip;
mod letters;
mod pictures;
mod shades;
#[cfg(test)]
mod tests;

use std::rc::Rc;

use hayro::hayro_interpret::encode::EncodedShadingPattern;
use hayro::hayro_interpret::font::{Glyph, GlyphRun, OutlineGlyph};
use hayro::hayro_interpret::hayro_cmap::WritingMode;
use hayro::hayro_interpret::hayro_syntax::page::Page;
use hayro::hayro_interpret::pattern::Pattern;
use hayro::hayro_interpret::util::{RectExt as _, x_y_advances};
use hayro::hayro_interpret::{
    BlendMode, ClipPath, Context, Device, DrawMode, DrawProps, FillRule, Image, ImageDrawProps,
    InterpreterCache, InterpreterSettings, Paint, SoftMask, StrokeProps, interpret_page,
};
use hayro::kurbo::{self, Affine, BezPath, Rect, Shape as _};

use self::clip::{Clip, Ink, Mask, of, over, paint, upright};
use self::letters::{Drawn, Letters, PLACES, WIDEST};
use self::pictures::{Bits, has_transfer};
use self::shades::Shades;
use crate::coverage::Coverage;
use crate::grey::{Grey, luma};
use crate::resample::{Kind, Samples};
use crate::shapes::Span;

/// Octets of the masks of clips: a hostile page may have very many.
const MOST_MASKS: usize = 64 << 20;
/// What is kept from page to page.
#[derive(Default)]
pub(crate) struct Pencil {
    coverage: Coverage,
    letters: Letters,
}

/// Is told of each run of letters, drawn or not.
pub(crate) type Watch<'w> = dyn Fn(&GlyphRun<'_, '_>, &DrawMode) + 'w;

/// What was seen while a page was drawn.
#[derive(Clone, Copy, Default)]
pub(crate) struct Seen {
    /// A picture of more than black and white, or a shading.
    pub tone: bool,
}

impl Pencil {
    /// Draws a page over a white one. `None`: it has what can't be drawn here, and `grey` is spoilt.
    pub fn draw<'a>(
        &mut self,
        page: &'a Page<'a>,
        transform: Affine,
        cache: &InterpreterCache<'a>,
        settings: &InterpreterSettings,
        grey: &mut Grey,
        watch: &Watch<'_>,
    ) -> Option<Seen> {
        let target = Rect::new(0.0, 0.0, grey.width as f64, grey.height as f64);
        let mut context = Context::new(transform, target, cache, page.xref(), settings.clone());
        let [a, b, c, d, _, _] = transform.as_coeffs();
        if !(b == 0.0 && c == 0.0 || a == 0.0 && d == 0.0) {
            return None;
        }
        let crop = page.intersected_crop_box().to_kurbo();
        let paper = transform.transform_rect_bbox(crop).intersect(target);
        let mut drawing = Drawing {
            clips: vec![Clip {
                rect: paper,
                mask: None,
            }],
            masks: 0,
            transfer: has_transfer(page),
            grey,
            pencil: self,
            seen: Seen::default(),
            beyond: false,
            in_glyph: false,
            watch,
        };
        interpret_page(page, &mut context, &mut drawing);
        (!drawing.beyond).then_some(drawing.seen)
    }
}

struct Drawing<'d> {
    grey: &'d mut Grey,
    pencil: &'d mut Pencil,
    clips: Vec<Clip>,
    /// Octets of masks that there are.
    masks: usize,
    /// Greys of pictures may be changed on the way.
    transfer: bool,
    seen: Seen,
    /// Something can't be drawn here.
    beyond: bool,
    in_glyph: bool,
    watch: &'d Watch<'d>,
}

/// What fills a shape.
enum Filling {
    Ink(Ink),
    Shading(Box<(EncodedShadingPattern, Option<BezPath>)>),
}

impl Drawing<'_> {
    fn clip(&self) -> Clip {
        self.clips.last().cloned().unwrap_or(Clip {
            rect: Rect::ZERO,
            mask: None,
        })
    }

    fn span(&self, rect: Rect) -> Span {
        let within = self.clips.last().map_or(Rect::ZERO, |clip| clip.rect);
        // Nothing of a clip that is empty.
        if !(within.width() > 0.0 && within.height() > 0.0) {
            return Span {
                columns: 0..0,
                rows: 0..0,
            };
        }
        let (width, height) = (self.grey.width, self.grey.height);
        Span::of(rect, width, height).with(&Span::of(within, width, height))
    }

    /// What these properties fill with, if it simply covers.
    fn filling(&mut self, props: &DrawProps<'_>) -> Option<Filling> {
        self.beyond |= props.soft_mask.is_some() || props.blend_mode != BlendMode::Normal;
        if self.beyond {
            return None;
        }
        match &props.paint {
            Paint::Color(color) => {
                let [r, g, b, a] = color.to_rgba().to_rgba8();
                let ink = Ink {
                    light: luma([r, g, b]),
                    opacity: a,
                };
                (a > 0).then_some(Filling::Ink(ink))
            }
            Paint::Pattern(pattern) => match &**pattern {
                Pattern::Shading(shading) => {
                    self.seen.tone = true;
                    let clip = shading.shading.clip_path.clone();
                    Some(Filling::Shading(Box::new((shading.encode(), clip))))
                }
                Pattern::Tiling(_) => {
                    self.beyond = true;
                    None
                }
            },
        }
    }

    fn fill(&mut self, path: &BezPath, rule: FillRule, filling: &Filling) {
        let even_odd = rule == FillRule::EvenOdd;
        match filling {
            Filling::Ink(ink) => {
                let span = self.span(path.control_box());
                let clip = self.clip();
                let grey = &mut *self.grey;
                self.pencil
                    .coverage
                    .fill(path, even_odd, &span, |y, x, row| {
                        clip.shade(y, x, row);
                        paint(&mut grey.row_mut(y)[x..], row, *ink);
                    });
            }
            Filling::Shading(shading) => {
                let (shading, own_clip) = &**shading;
                if let Some(path) = own_clip {
                    self.clip_to(path, FillRule::NonZero);
                }
                let span = self.span(path.control_box());
                let clip = self.clip();
                let grey = &mut *self.grey;
                let mut shades = Shades::default();
                self.pencil
                    .coverage
                    .fill(path, even_odd, &span, |y, x, row| {
                        clip.shade(y, x, row);
                        shades.row(shading, y, x, row.len());
                        let to = grey.row_mut(y)[x..].iter_mut().zip(&mut *row);
                        for ((to, c), &(light, opacity)) in to.zip(&shades.row) {
                            *to = over(*to, light, of(*c, opacity));
                        }
                    });
                if own_clip.is_some() {
                    self.unclip();
                }
            }
        }
    }

    fn stroke(
        &mut self,
        path: &BezPath,
        transform: Affine,
        stroke: &StrokeProps,
        filling: &Filling,
        least: f64,
    ) {
        let (x, y) = x_y_advances(&transform);
        let scale = x.length().max(y.length());
        let mut width = f64::from(stroke.line_width).max(0.01 / scale);
        let on_page = width * scale;
        if on_page < least && !self.in_glyph {
            width *= least / on_page;
        }
        let extent = width / 2.0 * f64::from(stroke.miter_limit).max(std::f64::consts::SQRT_2);
        let reach = path.control_box().inflate(extent, extent);
        if self.span(transform.transform_rect_bbox(reach)).is_empty() {
            return;
        }
        let thin = on_page <= 1.0;
        let cap = match stroke.line_cap {
            kurbo::Cap::Round if thin => kurbo::Cap::Square,
            cap => cap,
        };
        let join = match stroke.line_join {
            kurbo::Join::Round if thin => kurbo::Join::Bevel,
            join => join,
        };
        let dashes = stroke.dash_array.iter().map(|&dash| f64::from(dash));
        let style = kurbo::Stroke::new(width)
            .with_caps(cap)
            .with_join(join)
            .with_miter_limit(stroke.miter_limit.into())
            .with_dashes(f64::from(stroke.dash_offset), dashes);
        let tolerance = 0.1 / scale.max(1e-9);
        let options = kurbo::StrokeOpts::default();
        let outline = kurbo::stroke(path.iter(), &style, &options, tolerance);
        self.fill(&(transform * outline), FillRule::NonZero, filling);
    }

    fn path(&mut self, path: &BezPath, props: &DrawProps<'_>, mode: &DrawMode) {
        let Some(filling) = self.filling(props) else {
            return;
        };
        if let DrawMode::Fill(rule) | DrawMode::FillAndStroke(rule, _) = mode {
            self.fill(&(props.transform * path), *rule, &filling);
        }
        if let DrawMode::Stroke(stroke) | DrawMode::FillAndStroke(_, stroke) = mode {
            self.stroke(path, props.transform, stroke, &filling, 1.0);
        }
    }

    fn letter(&mut self, glyph: &OutlineGlyph, transform: Affine, level: bool, filling: &Filling) {
        if let (true, Filling::Ink(ink)) = (level, filling) {
            let [.., e, f] = transform.as_coeffs();
            let at = (e * PLACES).round();
            let place = at.rem_euclid(PLACES) as u8;
            let (x, y) = (at.div_euclid(PLACES) as i64, f.round() as i64);
            let Pencil { coverage, letters } = &mut *self.pencil;
            match letters.draw(glyph, transform, place, level, coverage) {
                Ok(Some(drawn)) => {
                    return self.copy(
                        &drawn,
                        x.saturating_add(drawn.x),
                        y.saturating_add(drawn.y),
                        *ink,
                    );
                }
                Ok(None) => return,
                Err(letters::Large) => {}
            }
        }
        let (outline, transform) = self.pencil.letters.filled(glyph, transform, level);
        self.fill(&(transform * &*outline), FillRule::NonZero, filling);
    }

    /// Copies a letter to where it belongs.
    fn copy(&mut self, drawn: &Drawn, x: i64, y: i64, ink: Ink) {
        let (width, height) = (drawn.width as f64, (drawn.data.len() / drawn.width) as f64);
        let place = Rect::new(x as f64, y as f64, x as f64 + width, y as f64 + height);
        let span = self.span(place);
        let Some(clip) = self.clips.last().filter(|_| !span.is_empty()) else {
            return;
        };
        let free = clip.is_free(place);
        let mut shaded = [0; WIDEST];
        for row in span.rows.clone() {
            let left = (span.columns.start as i64 - x) as usize;
            let from = (row as i64 - y) as usize * drawn.width + left;
            let mut covered = &drawn.data[from..from + span.columns.len()];
            if !free {
                let shaded = &mut shaded[..covered.len()];
                shaded.copy_from_slice(covered);
                clip.shade(row, span.columns.start, shaded);
                covered = shaded;
            }
            paint(
                &mut self.grey.row_mut(row)[span.columns.start..],
                covered,
                ink,
            );
        }
    }

    fn clip_to(&mut self, path: &BezPath, rule: FillRule) {
        let mut next = self.clip();
        if let Some(rect) = upright(path) {
            next.rect = next.rect.intersect(rect);
            return self.clips.push(next);
        }
        let before = next.clone();
        let span = self.span(path.bounding_box());
        self.masks += span.area();
        next.rect = pictures::rect(&span);
        if self.masks > MOST_MASKS || self.beyond {
            self.beyond = true;
            return self.clips.push(next);
        }
        let mut data = vec![0; span.area()];
        let (across, left, top) = (span.columns.len(), span.columns.start, span.rows.start);
        let even_odd = rule == FillRule::EvenOdd;
        self.pencil
            .coverage
            .fill(path, even_odd, &span, |y, x, row| {
                before.shade(y, x, row);
                data[(y - top) * across + x - left..][..row.len()].copy_from_slice(row);
            });
        next.mask = Some(Rc::new(Mask { span, data }));
        self.clips.push(next);
    }

    fn unclip(&mut self) {
        // The page's own stays.
        if self.clips.len() > 1
            && let Some(clip) = self.clips.pop()
            && let Some(mask) = clip.mask
            && let Ok(mask) = Rc::try_unwrap(mask)
        {
            self.masks -= mask.data.len();
        }
    }
}

impl<'a> Device<'a> for Drawing<'_> {
    fn draw_path(&mut self, path: &BezPath, props: DrawProps<'a>, mode: &DrawMode) {
        self.path(path, &props, mode);
    }

    fn push_clip_path(&mut self, clip: &ClipPath) {
        self.clip_to(&clip.path, clip.fill);
    }

    fn push_clip_rect(&mut self, rect: &Rect) {
        let mut clip = self.clip();
        clip.rect = clip.rect.intersect(rect.abs());
        self.clips.push(clip);
    }

    fn push_transparency_group(
        &mut self,
        opacity: f32,
        mask: Option<SoftMask<'a>>,
        blend: BlendMode,
    ) {
        // What covers simply within such a group covers so without it.
        self.beyond |= opacity < 1.0 || mask.is_some() || blend != BlendMode::Normal;
    }

    fn draw_glyph_run(&mut self, run: &GlyphRun<'_, 'a>, props: DrawProps<'a>, mode: &DrawMode) {
        if matches!(mode, DrawMode::Invisible) || self.beyond {
            return;
        }
        if !self.in_glyph {
            (self.watch)(run, mode);
        }
        let Some(filling) = self.filling(&props) else {
            return;
        };
        let level = run.writing_mode() == WritingMode::Horizontal;
        let fills = matches!(mode, DrawMode::Fill(_) | DrawMode::FillAndStroke(..));
        for glyph in run.glyphs() {
            match &**glyph {
                Glyph::Outline(outline) if fills => {
                    self.letter(
                        outline,
                        props.transform * glyph.transform(),
                        level,
                        &filling,
                    );
                }
                Glyph::Outline(_) => {}
                Glyph::Type3(drawn) => {
                    let was = std::mem::replace(&mut self.in_glyph, true);
                    drawn.interpret(self, props.transform, glyph.transform(), &props.paint);
                    self.in_glyph = was;
                }
            }
        }
        let (DrawMode::Stroke(stroke) | DrawMode::FillAndStroke(_, stroke)) = mode else {
            return;
        };
        for glyph in run.glyphs() {
            if let Glyph::Outline(outline) = &**glyph {
                let id = outline.identifier().cache_key();
                let outline = self.pencil.letters.outline(outline, id, None);
                let path = glyph.transform() * &*outline.unwrap_or_default();
                self.stroke(&path, props.transform, stroke, &filling, 0.25);
            }
        }
    }

    fn draw_image(&mut self, image: Image<'a, '_>, props: ImageDrawProps<'a>) {
        self.beyond |= props.soft_mask.is_some() || props.blend_mode != BlendMode::Normal;
        let size = Rect::new(0.0, 0.0, image.width().into(), image.height().into());
        let place = props.transform.transform_rect_bbox(size);
        if self.beyond || self.span(place).is_empty() {
            return;
        }
        let (x, y) = x_y_advances(&props.transform);
        let wanted = (
            (x.length() * f64::from(image.width())).ceil() as u32,
            (y.length() * f64::from(image.height())).ceil() as u32,
        );
        let scaled = |(x, y): (f64, f64)| props.transform * Affine::scale_non_uniform(x, y);
        match image {
            Image::Stencil(stencil) => stencil.with_stencil(
                |mask, with| {
                    let Paint::Color(color) = with else {
                        self.beyond = true;
                        return;
                    };
                    let [r, g, b, a] = color.to_rgba().to_rgba8();
                    let ink = Ink {
                        light: luma([r, g, b]),
                        opacity: a,
                    };
                    let samples = Samples {
                        data: &mask.data,
                        width: mask.width as usize,
                        height: mask.height as usize,
                        kind: Kind::Grey,
                    };
                    let (x, y) = mask.scale_factors;
                    let faded = self.in_glyph;
                    self.lay(samples, scaled((x.into(), y.into())), faded, |row| {
                        let Some(shades) = row.shades else {
                            return paint(row.to, row.values, ink);
                        };
                        let covered = row.values.iter().zip(shades);
                        let covered: Vec<u8> = covered.map(|(&v, &c)| of(v, c)).collect();
                        paint(row.to, &covered, ink);
                    });
                },
                Some(wanted),
            ),
            Image::Raster(raster) => {
                let dict = raster.stream().dict();
                let bits = dict
                    .get::<u32>(b"BitsPerComponent")
                    .or_else(|| dict.get(b"BPC"));
                self.seen.tone |= bits != Some(1);
                let bits = (!self.transfer).then(|| Bits::of(raster.stream()));
                if let Some(bits) = bits.flatten() {
                    return self.bits(&bits, scaled(bits.scale));
                }
                raster.with_rgba(
                    |image, alpha| {
                        let (x, y) = image.scale_factors();
                        self.picture(&image, alpha, scaled((x.into(), y.into())));
                    },
                    Some(wanted),
                );
            }
        }
    }

    fn pop_clip(&mut self) {
        self.unclip();
    }

    fn pop_transparency_group(&mut self) {}
}
