use hayro::hayro_interpret::{InterpreterCache, InterpreterSettings, TransformExt as _};
use hayro::hayro_syntax::Pdf;
use hayro::kurbo::Affine;
use hayro::vello_cpu::color::palette::css::WHITE;
use hayro::vello_cpu::{Pixmap, RasterizerSettings, RenderContext, Resources, TargetInit};
use hayro::{RenderCache, RenderSettings, render_into};

use super::Pencil;
use crate::grey::Grey;

const WIDTH: usize = 400;
const HEIGHT: usize = 300;

/// A page of 400 × 300 points with that content.
fn pdf(content: &str) -> Vec<u8> {
    let objects = [
        "<</Type/Catalog/Pages 2 0 R>>".to_owned(),
        "<</Type/Pages/Kids[3 0 R]/Count 1>>".to_owned(),
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 400 300]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>\
         /ExtGState<</Half<</ca 0.5>>/Times<</BM/Multiply>>>>/Shading<</S 6 0 R>>/Pattern<</P 7 0 R>>>>>>"
            .to_owned(),
        format!("<</Length {}>>stream\n{content}\nendstream", content.len()),
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>".to_owned(),
        "<</ShadingType 2/ColorSpace/DeviceGray/Coords[0 0 100 0]/Extend[true true]\
         /Function<</FunctionType 2/Domain[0 1]/C0[0]/C1[1]/N 1>>>>"
            .to_owned(),
        "<</PatternType 2/Shading 6 0 R/Matrix[1 0 0 1 250 0]>>".to_owned(),
    ];
    let mut file = "%PDF-1.7\n".to_owned();
    let mut table = String::new();
    for (number, object) in (1..).zip(&objects) {
        table += &format!("{:010} 00000 n \n", file.len());
        file += &format!("{number} 0 obj\n{object}\nendobj\n");
    }
    let start = file.len();
    file += &format!("xref\n0 8\n0000000000 65535 f \n{table}trailer<</Size 8/Root 1 0 R>>\n");
    file += &format!("startxref\n{start}\n%%EOF");
    file.into_bytes()
}

/// The page by us, if we can, and by hayro.
fn both(content: &str) -> (Option<Grey>, Grey) {
    let pdf = Pdf::new(pdf(content)).expect("a PDF");
    let page = &pdf.pages()[0];
    let transform =
        Affine::new([1.0, 0.0, 0.0, 1.0, 0.0, 0.0]) * page.initial_transform(true).to_kurbo();
    let settings = InterpreterSettings::default();
    let mut grey = Grey::white(WIDTH, HEIGHT);
    let drawn = Pencil::default().draw(
        page,
        transform,
        &InterpreterCache::new(),
        &settings,
        &mut grey,
        &|_, _| (),
    );
    let mut context = RenderContext::new(WIDTH as u16, HEIGHT as u16);
    let render = RenderSettings {
        force_image_interpolation: true,
        ..RenderSettings::default()
    };
    render_into(
        page,
        &RenderCache::new(),
        &settings,
        &render,
        &mut context,
        transform,
    );
    context.flush();
    let mut pixmap = Pixmap::new(WIDTH as u16, HEIGHT as u16);
    let raster = RasterizerSettings {
        target_init: TargetInit::Clear(WHITE),
        ..RasterizerSettings::default()
    };
    context.render_with(&mut pixmap, &mut Resources::default(), raster);
    let theirs = Grey::from_rgba(WIDTH, HEIGHT, pixmap.data_as_u8_slice());
    (drawn.map(|_| grey), theirs)
}

/// The largest difference between squares of 4 × 4 pixels, and the mean one.
fn differences(a: &Grey, b: &Grey) -> (u32, f64) {
    let square = |grey: &Grey, x: usize, y: usize| -> u32 {
        let rows = (y..y + 4).flat_map(|y| grey.row(y)[x..x + 4].iter());
        rows.map(|&v| u32::from(v)).sum::<u32>() / 16
    };
    let places = (0..HEIGHT)
        .step_by(4)
        .flat_map(|y| (0..WIDTH).step_by(4).map(move |x| (x, y)));
    let all: Vec<u32> = places
        .map(|(x, y)| square(a, x, y).abs_diff(square(b, x, y)))
        .collect();
    let sum: u32 = all.iter().sum();
    (
        all.iter().copied().max().unwrap_or(0),
        f64::from(sum) / all.len() as f64,
    )
}

#[test]
fn what_we_draw_is_what_hayro_draws() {
    let letters = "BT /F 14 Tf 20 250 Td (Letters of a line, hinted) Tj 0 -20 Td /F 7 Tf (and small ones) Tj ET
        BT 1 Tr 0.4 w /F 30 Tf 20 190 Td (Outlined) Tj 2 Tr 1 0 0 rg 0 -40 Td (Both) Tj ET
        BT 0 Tr 0.5 g /F 160 Tf 180 100 Td (Q) Tj ET BT 0 g 0.7 0.7 -0.7 0.7 330 40 Tm /F 18 Tf (slanting) Tj ET";
    let lines =
        "20 20 100 60 re S 3 w 150 20 m 250 120 l 350 30 l S [8 4] 0 d 20 200 m 380 240 l S [] 0 d
        0 w 20 150 m 380 152 l S 12 w 1 J 1 j 60 260 m 120 200 l 180 270 l S";
    let fills = "1 0 0 rg 10.5 10.5 100 80 re f 0 0 1 rg 60 60 100 100 re f 0.3 g
        200 200 m 300 290 350 250 300 150 c h f 250 20 m 390 20 l 280 110 l 320 -30 l 370 100 l h f*
        /Half gs 0 1 0 rg 100 100 200 100 re f";
    let clips = "q 50.5 50.5 100 100 re W n 0 g 0 0 400 300 re f Q
        q 200 50 m 300 50 l 250 150 l h W n q 210 60 200 50 re W n 0.4 g 0 0 400 300 re f Q Q
        q 60 220 m 110 220 110 270 60 270 c h W n BT /F 60 Tf 40 220 Td (Clip) Tj ET Q";
    let pictures = "q 100 0 0 100 20 150 cm BI /W 4 /H 4 /CS /G /BPC 8 /F /AHx ID
        00 40 80 C0 40 80 C0 FF 80 C0 FF 00 C0 FF 00 40 > EI Q
        q 0 80 -80 0 250 150 cm BI /W 2 /H 2 /CS /RGB /BPC 8 /F /AHx ID FF0000 00FF00 0000FF FFFFFF > EI Q
        q 60 30 -30 60 320 150 cm BI /W 2 /H 2 /CS /G /BPC 8 /F /AHx ID 00 FF 80 40 > EI Q
        q 80 0 0 80 20 30 cm 0.2 g BI /W 8 /H 8 /IM true /F /AHx ID F0 F0 F0 F0 0F 0F 0F 0F > EI Q
        q 80 0 0 80 150 30 cm BI /W 8 /H 8 /CS /G /BPC 1 /F /AHx ID F0 F0 F0 F0 0F 0F 0F 0F > EI Q";
    let shadings = "q 20 20 m 120 20 l 70 120 l h W n 1 0 0 1 20 0 cm /S sh Q
        /Pattern cs /P scn 250 50 100 200 re f";
    for (name, content, most) in [
        ("letters", letters, 12),
        ("lines", lines, 12),
        ("fills", fills, 8),
        ("clips", clips, 12),
        ("pictures", pictures, 40),
        ("shadings", shadings, 12),
    ] {
        let (ours, theirs) = both(content);
        let ours = ours.unwrap_or_else(|| panic!("{name} can be drawn"));
        let ink = theirs.data.iter().filter(|&&v| v < 128).count();
        assert!(ink > 1000, "{name}: {ink} dark pixels");
        let (largest, mean) = differences(&ours, &theirs);
        assert!(
            largest <= most && mean < 0.6,
            "{name}: {largest}, {mean:.3} in the mean"
        );
    }
}

#[test]
fn what_is_beyond_us_is_noticed() {
    let (ours, _) = both("/Times gs 1 0 0 rg 10 10 50 50 re f");
    assert!(ours.is_none());
    let (ours, _) = both("1 0 0 rg 10 10 50 50 re f");
    assert!(ours.is_some());
}
