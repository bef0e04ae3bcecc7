//! Holds the architecture: a module uses only lower floors (see the crate's page). Reads the sources as text.

use std::fs;
use std::path::{Path, PathBuf};

/// Modules by floor.
const FLOORS: &[(&str, u8)] = &[
    ("types", 0),
    ("topic", 1),
    ("selector", 1),
    ("codec", 1),
    ("config", 1),
    ("metrics", 1),
    ("acl", 2),
    ("auth", 2),
    ("cursor", 2),
    ("session", 2),
    ("store", 2),
    ("inspect", 3),
    ("log", 3),
    ("router", 3),
    ("broker", 4),
    ("net", 5),
    ("admin", 5),
    ("guide", 6),
    ("server", 6),
    ("cli", 7),
];

/// Modules of one floor that know each other all the same: a rule in the configuration is a topic filter.
const NEIGHBOURS: &[(&str, &str)] = &[("config", "topic")];

#[test]
fn modules_use_only_lower_floors() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut faults = Vec::new();
    for (module, floor) in FLOORS {
        for file in rust_files(&sources.join(module)) {
            let text = fs::read_to_string(&file).expect("a source file can be read");
            for (used, used_floor) in used_modules(&text).filter(|(used, _)| used != module) {
                if used_floor >= *floor && !NEIGHBOURS.contains(&(module, used)) {
                    faults.push(format!("{}: {module} uses {used}", file.display()));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn only_the_codec_names_its_crate() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let others = FLOORS.iter().filter(|(module, _)| *module != "codec");
    for file in others.flat_map(|(module, _)| rust_files(&sources.join(module))) {
        let text = fs::read_to_string(&file).expect("a source file can be read");
        assert!(!text.contains("mqttbytes"), "{}", file.display());
    }
}

fn used_modules(text: &str) -> impl Iterator<Item = (&'static str, u8)> + '_ {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let uses = code.flat_map(|line| line.split("crate::").skip(1));
    uses.filter_map(|rest| {
        let name: &str = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
        FLOORS.iter().copied().find(|(module, _)| *module == name)
    })
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let entries = fs::read_dir(folder).expect("every module has a folder");
    for entry in entries.map(|entry| entry.expect("a folder can be listed").path()) {
        if entry.is_dir() {
            files.extend(rust_files(&entry));
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            files.push(entry);
        }
    }
    files
}
