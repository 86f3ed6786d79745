//! Pictures: laid where they belong at the page's own size, straight, turned or slanting.

use std::ops::Range;

use hayro::hayro_interpret::hayro_syntax::object::stream::ImageDecodeParams;
use hayro::hayro_interpret::hayro_syntax::object::{Array, Name, Stream};
use hayro::hayro_interpret::hayro_syntax::page::Page;
use hayro::hayro_interpret::{ImageData, LumaData};
use hayro::kurbo::{Affine, Point, Rect, Shape as _};

use super::Drawing;
use super::clip::{mix, of, over};
use crate::resample::{Along, Kind, Samples, resample};
use crate::shapes::Span;

/// How far a picture's far corner may be off the upright, in pixels.
const SLANT: f64 = 0.05;

/// Where a row of samples goes.
pub(super) struct Row<'r> {
    pub y: usize,
    pub x: usize,
    /// The page's pixels.
    pub to: &'r mut [u8],
    pub values: &'r [u8],
    /// How much of them may be painted; `None`: all.
    pub shades: Option<&'r [u8]>,
}

impl Row<'_> {
    /// Paints the values as they are.
    fn put(self) {
        match self.shades {
            None => self.to.copy_from_slice(self.values),
            Some(shades) => mix(self.to, self.values, shades),
        }
    }
}

/// The black and white of a picture that has nothing else.
pub(super) struct Bits<'a> {
    data: std::borrow::Cow<'a, [u8]>,
    width: u32,
    height: u32,
    /// What a column and a row of it are of those that the picture says it has.
    pub scale: (f64, f64),
    /// The bit that is black.
    black: bool,
}

impl<'a> Bits<'a> {
    /// Reads a picture of one bit a pixel in black and white; anything else is `None`. Eight times less memory
    /// than octets is what a large scan is drawn in.
    pub fn of(stream: &Stream<'a>) -> Option<Self> {
        let dict = stream.dict();
        let number = |long: &[u8], short: &[u8]| dict.get::<u32>(long).or_else(|| dict.get(short));
        let plain = ["SMask", "Mask", "SMaskInData", "ImageMask", "IM"]
            .iter()
            .all(|key| !dict.contains_key(key));
        let space = dict
            .get::<Name<'_>>(b"ColorSpace")
            .or_else(|| dict.get(b"CS"))?;
        let grey = [&b"DeviceGray"[..], b"G"].contains(&&*space);
        if !plain || !grey || number(b"BitsPerComponent", b"BPC") != Some(1) {
            return None;
        }
        let decode = dict.get::<Array<'_>>(b"Decode").or_else(|| dict.get(b"D"));
        let black = match decode.map(|array| array.iter::<f32>().collect::<Vec<_>>()) {
            None => false,
            Some(range) if range == [0.0, 1.0] => false,
            Some(range) if range == [1.0, 0.0] => true,
            Some(_) => return None,
        };
        let (width, height) = (number(b"Width", b"W")?, number(b"Height", b"H")?);
        // Of few colours: so the readers of fax codings leave bits as bits.
        let wanted = ImageDecodeParams {
            is_indexed: true,
            bpc: Some(1),
            num_components: Some(1),
            target_dimension: None,
            width,
            height,
        };
        let read = stream.decoded_image(&wanted).ok()?;
        let (mut across, mut down) = (width, height);
        if let Some(image) = &read.image_data {
            if image.bits_per_component != 1 {
                return None;
            }
            (across, down) = (image.width, image.height);
        }
        let stride = across.div_ceil(8) as usize;
        if across == 0 || down == 0 || read.data.len() < stride {
            return None;
        }
        let scale = (
            f64::from(width) / f64::from(across),
            f64::from(height) / f64::from(down),
        );
        // What is cut off ends sooner.
        let rows = u32::try_from(read.data.len() / stride).unwrap_or(u32::MAX);
        Some(Self {
            height: down.min(rows),
            data: read.data,
            width: across,
            scale,
            black,
        })
    }
}

/// Whether a page changes the greys of pictures by a function of its own.
pub(super) fn has_transfer(page: &Page<'_>) -> bool {
    let states = &page.resources().ext_g_states;
    states.keys().any(|name| {
        use hayro::hayro_interpret::hayro_syntax::object::Dict;
        let Some(state) = states.get::<Dict<'_>>(&*name) else {
            return false;
        };
        ["TR", "TR2"]
            .iter()
            .any(|key| state.contains_key(key) && state.get::<Name<'_>>(key).is_none())
    })
}

impl Drawing<'_> {
    pub(super) fn bits(&mut self, bits: &Bits<'_>, transform: Affine) {
        let samples = Samples {
            data: &bits.data,
            width: bits.width as usize,
            height: bits.height as usize,
            kind: Kind::Bits(bits.black),
        };
        self.lay(samples, transform, false, |row| {
            for (i, (to, &black)) in row.to.iter_mut().zip(row.values).enumerate() {
                *to = over(*to, 255 - black, row.shades.map_or(255, |shades| shades[i]));
            }
        });
    }

    pub(super) fn picture(
        &mut self,
        image: &ImageData,
        alpha: Option<LumaData>,
        transform: Affine,
    ) {
        let (width, height) = (image.width(), image.height());
        let samples = |data, kind| Samples {
            data,
            width: width as usize,
            height: height as usize,
            kind,
        };
        let whole = match image {
            ImageData::Rgb(rgb) => samples(&rgb.data, Kind::Colour),
            ImageData::Luma(luma) => samples(&luma.data, Kind::Grey),
        };
        let Some(alpha) = alpha else {
            return self.lay(whole, transform, false, |row| row.put());
        };
        let clear = Samples {
            data: &alpha.data,
            width: alpha.width as usize,
            height: alpha.height as usize,
            kind: Kind::Grey,
        };
        let own = transform
            * Affine::scale_non_uniform(
                f64::from(width) / f64::from(alpha.width),
                f64::from(height) / f64::from(alpha.height),
            );
        if (alpha.width, alpha.height) != (width, height) {
            // How much of each of the page's pixels the picture takes.
            let across = self.grey.width;
            let mut share = vec![0; across * self.grey.height];
            self.lay(clear, own, false, |row| {
                share[row.y * across + row.x..][..row.values.len()].copy_from_slice(row.values);
            });
            return self.lay(whole, transform, false, |row| {
                let shares = &share[row.y * across + row.x..];
                for (i, (to, &v)) in row.to.iter_mut().zip(row.values).enumerate() {
                    let share = row
                        .shades
                        .map_or(shares[i], |shades| of(shares[i], shades[i]));
                    *to = over(*to, v, share);
                }
            });
        }
        // What is clear has no colour: it takes no part in the mean.
        let mut inked = whole.data.to_vec();
        let channels = inked.len() / alpha.data.len().max(1);
        for (pixel, &a) in inked.chunks_exact_mut(channels.max(1)).zip(&alpha.data) {
            pixel.iter_mut().for_each(|v| *v = of(*v, a));
        }
        self.lay(clear, transform, false, |row| {
            for (i, (to, &a)) in row.to.iter_mut().zip(row.values).enumerate() {
                *to = of(*to, 255 - row.shades.map_or(a, |shades| of(a, shades[i])));
            }
        });
        self.lay(samples(&inked, whole.kind), transform, false, |row| {
            for (i, (to, &v)) in row.to.iter_mut().zip(row.values).enumerate() {
                *to = to.saturating_add(row.shades.map_or(v, |shades| of(v, shades[i])));
            }
        });
    }

    /// Draws samples where `transform` puts them: `draw` gets each row of pixels. `faded`: what the picture
    /// shares with the paper at its edge is shared, else it is the picture's.
    pub(super) fn lay(
        &mut self,
        picture: Samples<'_>,
        transform: Affine,
        faded: bool,
        mut draw: impl FnMut(Row<'_>),
    ) {
        let [a, b, c, d, e, f] = transform.as_coeffs();
        let (width, height) = (picture.width as f64, picture.height as f64);
        if !transform.is_finite() || transform.determinant() == 0.0 {
            return;
        }
        let straight = (b * width).abs() < SLANT && (c * height).abs() < SLANT;
        let turned = (a * width).abs() < SLANT && (d * height).abs() < SLANT;
        if !straight && !turned {
            return self.slant(picture, transform, draw);
        }
        // The picture's own columns and rows, on the page's.
        let (columns, rows) = if straight {
            ((a, e), (d, f))
        } else {
            ((b, f), (c, e))
        };
        let along = |(scale, offset): (f64, f64), count| Along {
            scale,
            offset,
            count,
        };
        let (across, down) = (along(columns, picture.width), along(rows, picture.height));
        let clip = self.clip();
        let within = self.span(clip.rect);
        let (right, bottom) = (self.grey.width, self.grey.height);
        let place = if straight {
            Span {
                columns: meet(across.span(right), &within.columns),
                rows: meet(down.span(bottom), &within.rows),
            }
        } else {
            Span {
                columns: meet(down.span(right), &within.columns),
                rows: meet(across.span(bottom), &within.rows),
            }
        };
        if place.is_empty() {
            return;
        }
        let free = clip.is_free(rect(&place));
        let grey = &mut *self.grey;
        let mut shades = vec![255; place.columns.len()];
        let mut put = |y: usize, values: &[u8]| {
            if !free {
                shades.fill(255);
                clip.shade(y, place.columns.start, &mut shades);
            }
            draw(Row {
                y,
                x: place.columns.start,
                to: &mut grey.row_mut(y)[place.columns.clone()],
                values,
                shades: (!free).then_some(&shades),
            });
        };
        if straight {
            let (columns, rows) = (place.columns.clone(), place.rows.clone());
            return resample(picture, across, down, columns, rows, faded, put);
        }
        // Its rows are the page's columns.
        let (columns, rows) = (place.rows.clone(), place.columns.clone());
        let (left, wide) = (rows.start, rows.len());
        let mut turned = vec![0; wide * columns.len()];
        resample(picture, across, down, columns, rows, faded, |x, row| {
            for (y, &v) in row.iter().enumerate() {
                turned[y * wide + x - left] = v;
            }
        });
        for (y, row) in place.rows.clone().zip(turned.chunks_exact(wide)) {
            put(y, row);
        }
    }

    /// A picture that is neither straight nor turned by a quarter: drawn upright at its size on the page, then
    /// looked up for each pixel.
    fn slant(&mut self, picture: Samples<'_>, transform: Affine, mut draw: impl FnMut(Row<'_>)) {
        let [a, b, c, d, _, _] = transform.as_coeffs();
        let size = |scale: f64, count: usize, most: usize| {
            let wanted = (scale * count as f64).ceil().clamp(1.0, most as f64 * 2.0);
            wanted.min(count as f64) as usize
        };
        let (right, bottom) = (self.grey.width, self.grey.height);
        let most = right + bottom;
        let (wide, high) = (
            size(a.hypot(b), picture.width, most),
            size(c.hypot(d), picture.height, most),
        );
        let along = |to: usize, count: usize| Along {
            scale: to as f64 / count as f64,
            offset: 0.0,
            count,
        };
        let mut upright = Vec::with_capacity(wide * high);
        let (across, down) = (along(wide, picture.width), along(high, picture.height));
        resample(picture, across, down, 0..wide, 0..high, false, |_, row| {
            upright.extend_from_slice(row);
        });
        let back = (transform
            * Affine::scale_non_uniform(
                picture.width as f64 / wide as f64,
                picture.height as f64 / high as f64,
            ))
        .inverse();
        let edge = transform
            * Rect::new(0.0, 0.0, picture.width as f64, picture.height as f64).to_path(0.1);
        let span = self.span(edge.bounding_box());
        let clip = self.clip();
        let grey = &mut *self.grey;
        let mut values = vec![0; right];
        self.pencil
            .coverage
            .fill(&edge, false, &span, |y, x, shades| {
                clip.shade(y, x, shades);
                let values = &mut values[..shades.len()];
                for (i, v) in values.iter_mut().enumerate() {
                    let at = back * Point::new((x + i) as f64 + 0.5, y as f64 + 0.5);
                    *v = sample(&upright, wide, high, at);
                }
                draw(Row {
                    y,
                    x,
                    to: &mut grey.row_mut(y)[x..x + shades.len()],
                    values,
                    shades: Some(shades),
                });
            });
    }
}

/// The mixture of the four samples around a point.
fn sample(upright: &[u8], wide: usize, high: usize, at: Point) -> u8 {
    let near = |v: f64, count: usize| {
        let v = (v - 0.5).clamp(0.0, (count - 1) as f64);
        let low = v as usize;
        (low, (low + 1).min(count - 1), (v - low as f64) as f32)
    };
    let (left, right, x) = near(at.x, wide);
    let (top, bottom, y) = near(at.y, high);
    let value = |column: usize, row: usize| f32::from(upright[row * wide + column]);
    let above = value(left, top) + (value(right, top) - value(left, top)) * x;
    let below = value(left, bottom) + (value(right, bottom) - value(left, bottom)) * x;
    (above + (below - above) * y + 0.5) as u8
}

fn meet(a: Range<usize>, b: &Range<usize>) -> Range<usize> {
    let start = a.start.max(b.start);
    start..a.end.min(b.end).max(start)
}

pub(super) fn rect(span: &Span) -> Rect {
    Rect::new(
        span.columns.start as f64,
        span.rows.start as f64,
        span.columns.end as f64,
        span.rows.end as f64,
    )
}
