use super::sample::run;

const TABLES: &[(&str, &str)] = &[
    ("logic.txt", include_str!("logic.txt")),
    ("numbers.txt", include_str!("numbers.txt")),
    ("texts.txt", include_str!("texts.txt")),
    ("payload.txt", include_str!("payload.txt")),
    ("headers.txt", include_str!("headers.txt")),
    ("faults.txt", include_str!("faults.txt")),
];

#[test]
fn every_line_of_the_tables_holds() {
    let mut faults = Vec::new();
    let count: usize = TABLES.iter().map(|(name, table)| run(name, table, &mut faults)).sum();
    assert!(faults.is_empty(), "{} of {count}:\n{}", faults.len(), faults.join("\n"));
    assert!(count >= 400, "only {count} selectors");
}

#[test]
fn the_examples_of_the_page_hold() {
    let page = include_str!("../../../docs/selectors.md");
    let mut faults = Vec::new();
    let blocks = page.split("```text example\n").skip(1);
    let count: usize = blocks
        .map(|block| {
            run(
                "docs/selectors.md",
                block.split("```").next().unwrap_or_default(),
                &mut faults,
            )
        })
        .sum();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(count >= 10, "only {count} examples");
}
