//! The demo's output: progress lines, a table, a chart, `demo.csv` and `demo.svg`.

use std::{
    fmt::{Arguments, Write as _},
    fs,
    io::Write as _,
    path::Path,
};

use plotters::{
    prelude::{
        ChartBuilder, Circle, Color, DashedLineSeries, IntoDrawingArea, IntoFont, LineSeries,
        PathElement, RGBColor, SVGBackend, SeriesLabelPosition, Text,
    },
    style::TextStyle,
};

use crate::{Act, BoxError, Played, act::Sample};

/// Readable on white and on black, like the colours of the lines.
const INK: RGBColor = RGBColor(128, 128, 128);
const LINES: [RGBColor; 3] = [
    RGBColor(217, 72, 65),
    RGBColor(46, 160, 67),
    RGBColor(56, 139, 253),
];

pub(super) fn announce(act: &Act) {
    print(format_args!("\nact {}  {}\n       ", act.number, act.title));
}

/// One mark for each reload, as it happens.
pub(super) fn progress(sample: &Sample) {
    match &sample.sqlstate {
        None => print(format_args!("{} ", sample.backends)),
        Some(_) => print(format_args!("✗ ")),
    }
}

pub(super) fn verdict(verdict: &Result<String, String>) {
    match verdict {
        Ok(shown) => print(format_args!("\n       ✓ {shown}\n")),
        Err(wrong) => print(format_args!("\n       ✗ not as claimed: {wrong}\n")),
    }
}

pub(super) fn table(played: &[Played]) {
    print(format_args!(
        "\n{:<5}{:>9}{:>10}{:>10}{:>10}{:>10}{:>10}{:>13}\n",
        "act", "reloads", "backends", "at most", "distinct", "sessions", "threads", "memory"
    ));
    for Played { act, samples, .. } in played {
        let (Some(first), Some(last)) = (samples.first(), samples.last()) else {
            continue;
        };
        let most = samples
            .iter()
            .map(|sample| sample.backends)
            .max()
            .unwrap_or_default();
        let sessions = match (first.sessions, last.sessions) {
            (Some(first), Some(last)) => format!("+{}", last.saturating_sub(first)),
            _ => "?".into(),
        };
        print(format_args!(
            "{:<5}{:>9}{:>10}{:>10}{:>10}{:>10}{:>10}{:>9} MiB\n",
            act.number,
            last.reload,
            last.backends,
            most,
            last.distinct_pids,
            sessions,
            last.threads,
            last.resident_kib / 1024
        ));
    }
    print(format_args!("\n{}\n", chart(played)));
}

/// Backends over reloads, a column for each reload, a digit for each act.
fn chart(played: &[Played]) -> String {
    const ROWS: u64 = 10;
    let samples = || played.iter().flat_map(|played| &played.samples);
    let most = samples()
        .map(|sample| sample.backends)
        .max()
        .unwrap_or(1)
        .max(ROWS);
    let width = samples()
        .map(|sample| sample.reload)
        .max()
        .unwrap_or_default()
        + 1;
    let row_of = |backends: u64| (backends * ROWS).div_ceil(most);
    let mut text = String::from("backends\n");
    for row in (1..=ROWS).rev() {
        let mut line = format!("{:>7} │", (row * most).div_ceil(ROWS));
        for reload in 0..width {
            let here = played.iter().find_map(|played| {
                let sample = played
                    .samples
                    .iter()
                    .find(|sample| sample.reload == reload && row_of(sample.backends) == row)?;
                Some(if sample.sqlstate.is_some() {
                    '✗'
                } else {
                    char::from_digit(played.act.number.into(), 10)?
                })
            });
            line.push(here.unwrap_or(' '));
            line.push(' ');
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text + &format!(
        "{:>7} └{}\n{:>9}reloads 0 to {}; the digit is the act (the first, where several meet), ✗ the refusal\n",
        "",
        "──".repeat(width as usize),
        "",
        width - 1
    )
}

pub(super) fn csv(file: &Path, played: &[Played]) -> Result<(), BoxError> {
    let mut text = String::from(
        "act,reload,generation,backends,distinct_pids,sessions,threads,resident_kib,http_status,sqlstate\n",
    );
    for Played { act, samples, .. } in played {
        for Sample {
            reload,
            generation,
            backends,
            distinct_pids,
            sessions,
            threads,
            resident_kib,
            http_status,
            sqlstate,
            ..
        } in samples
        {
            let sessions = sessions.map(|count| count.to_string()).unwrap_or_default();
            let sqlstate = sqlstate.as_deref().unwrap_or_default();
            writeln!(
                text,
                "{},{reload},{generation},{backends},{distinct_pids},{sessions},{threads},{resident_kib},{http_status},{sqlstate}",
                act.number
            )?;
        }
    }
    Ok(fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))?)
}

pub(super) fn svg(file: &Path, played: &[Played]) -> Result<(), BoxError> {
    let samples = || played.iter().flat_map(|played| &played.samples);
    let limit = samples().find_map(|sample| sample.usable);
    let top = samples()
        .map(|sample| sample.backends)
        .chain(limit)
        .max()
        .unwrap_or(1) as f64;
    let right = f64::from(
        samples()
            .map(|sample| sample.reload)
            .max()
            .unwrap_or(1)
            .max(1),
    );
    let ink = |size: u32| TextStyle::from(("sans-serif", size).into_font()).color(&INK);

    let area = SVGBackend::new(file, (860, 420)).into_drawing_area();
    let mut chart = ChartBuilder::on(&area)
        .margin(16)
        .x_label_area_size(44)
        .y_label_area_size(52)
        .build_cartesian_2d(0.0..right * 1.02, 0.0..top * 1.15)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(INK.mix(0.0))
        .bold_line_style(INK.mix(0.25))
        .axis_style(INK)
        .label_style(ink(14))
        .axis_desc_style(ink(15))
        .x_desc("reloads, each followed by one request")
        .y_desc("backends in pg_stat_activity")
        .x_label_formatter(&|reload| format!("{reload:.0}"))
        .y_label_formatter(&|backends| format!("{backends:.0}"))
        .draw()?;
    if let Some(limit) = limit {
        let limit = limit as f64;
        chart.draw_series(DashedLineSeries::new(
            [(0.0, limit), (right, limit)],
            6,
            4,
            INK.stroke_width(1),
        ))?;
        chart.draw_series([Text::new(
            format!("{limit} connections for the app"),
            (right * 0.01, limit + top * 0.06),
            ink(14),
        )])?;
    }
    for Played { act, samples, .. } in played {
        let colour = LINES[usize::from(act.number - 1)];
        // Acts 2 and 3 coincide: the wider line stays visible behind the narrow one.
        let width = if act.number == 2 { 9 } else { 3 };
        let points = samples
            .iter()
            .map(|sample| (f64::from(sample.reload), sample.backends as f64));
        chart
            .draw_series(LineSeries::new(points, colour.stroke_width(width)))?
            .label(format!("{}  {}", act.number, act.title))
            .legend(move |(x, y)| {
                PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(width))
            });
        if let Some(refusal) = samples.iter().find(|sample| sample.sqlstate.is_some()) {
            let at = (f64::from(refusal.reload), refusal.backends as f64);
            chart.draw_series([Circle::new(at, 6, colour.filled())])?;
            let state = refusal.sqlstate.as_deref().unwrap_or_default();
            chart.draw_series([Text::new(
                format!("refused: {state}"),
                (at.0 - right * 0.12, at.1 - top * 0.16),
                ink(14).color(&colour),
            )])?;
        }
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::Coordinate(390, 215))
        .label_font(ink(14))
        .margin(12)
        .draw()?;
    area.present()?;
    Ok(())
}

pub(super) fn written(out: &Path) {
    print(format_args!("{0}/demo.csv, {0}/demo.svg\n", out.display()));
}

fn print(text: Arguments<'_>) {
    let mut out = anstream::stdout().lock();
    // Not fatal: the files have the results too.
    if let Err(error) = out.write_fmt(text).and_then(|()| out.flush()) {
        eprintln!("cannot write to the terminal: {error}");
    }
}
