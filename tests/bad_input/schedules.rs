//! Cron lines that say nothing, too much, or what can never be.

use omnitron::{Cron, CronError};

fn refusal(line: &str) -> CronError {
    match Cron::parse(line) {
        Ok(cron) => panic!("{line:?} was taken as {cron}"),
        Err(error) => error,
    }
}

#[test]
fn a_wrong_field_is_named_with_its_line_its_text_and_what_it_takes() {
    for (line, wrong_field, wrong_text) in [
        ("60 * * * *", "minute", "60"),
        ("-1 * * * *", "minute", "-1"),
        ("1.5 * * * *", "minute", "1.5"),
        ("a * * * *", "minute", "a"),
        ("\u{e9} * * * *", "minute", "\u{e9}"),
        ("99999999999999999999 * * * *", "minute", "99999999999999999999"),
        ("*/0 * * * *", "minute", "*/0"),
        ("1,,2 * * * *", "minute", "1,,2"),
        (", * * * *", "minute", ","),
        ("* 24 * * *", "hour", "24"),
        ("* 5-1 * * *", "hour", "5-1"),
        ("* 1- * * *", "hour", "1-"),
        ("* * 0 * *", "day of the month", "0"),
        ("* * 32 * *", "day of the month", "32"),
        ("* * * 13 *", "month", "13"),
        ("* * * FOO *", "month", "FOO"),
        ("* * * * 8", "weekday", "8"),
        ("* * * * MOM", "weekday", "MOM"),
        ("* * * * 1#6", "weekday", "1#6"),
    ] {
        let error = refusal(line);
        let text = error.to_string();
        assert!(text.contains(&format!("{line:?}")) && text.contains("it takes "), "{text}");
        let CronError::Field { field, text, reason, .. } = error else { panic!("{line}: {error:?}") };
        assert_eq!((field, &*text), (wrong_field, wrong_text), "{line}");
        assert!(!reason.is_empty() && !reason.contains('\n'), "{line}: {reason}");
    }
}

#[test]
fn a_line_with_more_or_fewer_fields_than_five_is_refused_with_their_number() {
    for (line, fields) in [("*", 1), ("* * * *", 4), ("0 * * * * *", 6), ("* * * * * * 2020", 7), ("@foo", 1)]
    {
        assert_eq!(refusal(line), CronError::Fields { line: line.to_owned(), found: fields });
    }
}

#[test]
fn an_empty_line_and_one_of_ten_kilobytes_are_refused_with_short_errors() {
    for empty in ["", "   ", "\t\n"] {
        assert_eq!(refusal(empty), CronError::Empty);
    }
    for long in ["* ".repeat(5_000), "1,".repeat(5_000) + "1 * * * *", " ".repeat(10_000)] {
        let error = refusal(&long);
        assert_eq!(error, CronError::TooLong { length_bytes: long.len(), limit_bytes: 512 });
        assert!(error.to_string().len() < 100);
    }
}

#[test]
fn the_longest_line_that_means_something_is_taken() {
    let list = |from: u8, to: u8| (from..=to).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    let everything =
        format!("{} {} {} {} {}", list(0, 59), list(0, 23), list(1, 31), list(1, 12), list(0, 7));
    Cron::parse(&everything).unwrap();
}

#[test]
fn a_day_that_no_month_has_is_refused_and_a_rare_one_is_taken() {
    for never in ["0 0 31 2 *", "0 0 30 2 *", "* * 31 4,6,9,11 *", "0 0 30-31 FEB *"] {
        assert_eq!(refusal(never), CronError::Never { line: never.to_owned() });
    }
    for rare in ["0 0 29 2 *", "0 0 * 2 1#5", "0 0 31 2 MON"] {
        Cron::parse(rare).unwrap();
    }
}

#[test]
fn a_time_zone_that_nobody_knows_is_refused_by_its_name() {
    let zoned = |zone: &str| Cron::parse("@daily").unwrap().in_zone(zone);
    for zone in
        ["", "Mars/Olympus", "Europe/", "../../etc/passwd", "/etc/localtime", "+25:00", "Europe/Berlin\0"]
    {
        assert_eq!(zoned(zone).unwrap_err(), CronError::UnknownZone { zone: zone.to_owned() });
    }
    let error = zoned(&"x\n".repeat(5_000)).unwrap_err().to_string();
    assert!(error.len() < 250 && !error.contains('\n'), "{error}");
    zoned("America/Argentina/ComodRivadavia").unwrap();
}
