//! Dates, for what files say of themselves.

/// A second of the calendar, UTC.
pub(crate) struct Civil {
    pub year: u16,
    pub month: u8,
    pub day: u8,
    pub hour: u8,
    pub minute: u8,
    pub second: u8,
}

/// The date of a second since 1970, if its year has four digits.
pub(crate) fn civil(seconds: i64) -> Option<Civil> {
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Days are counted from 1 March 0000, so that leap days end a year; 400 years have 146,097.
    let days = days.checked_add(719_468)?;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // Months from March on: 153 days in five.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next_year) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    let year = u16::try_from(era * 400 + year + next_year).ok()?;
    (year <= 9999).then_some(Civil {
        year,
        month: month as u8,
        day: day as u8,
        hour: (second / 3600) as u8,
        minute: (second / 60 % 60) as u8,
        second: (second % 60) as u8,
    })
}

/// `2026:10:01 12:04:20`, as TIFF writes a date (TIFF 6.0 §8, DateTime).
pub(crate) fn colons(seconds: i64) -> Option<String> {
    let Civil {
        year,
        month,
        day,
        hour,
        minute,
        second,
    } = civil(seconds)?;
    Some(format!(
        "{year:04}:{month:02}:{day:02} {hour:02}:{minute:02}:{second:02}"
    ))
}
