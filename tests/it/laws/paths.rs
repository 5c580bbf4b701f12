//! The paths that code names: in `use` declarations, nested braces included, and in place.

use super::source::{Source, Token};

/// What a path leads to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// A place in our crate, from its root.
    Ours(Vec<String>),
    /// Another crate.
    Crate(String),
}

/// Everything that a file names by a path, with the line it stands on.
///
/// A first word that is neither `crate`, `super` nor `self` is taken for another crate; a module
/// or type in scope is one as well, which harms nothing as long as no law names it.
pub(crate) fn named(source: &Source) -> Vec<(Named, usize)> {
    let mut reader = Reader {
        tokens: source.tokens(),
        at: 0,
        module: module_path(&source.path),
        open: Vec::new(),
        found: Vec::new(),
    };
    reader.run();
    reader.found
}

/// `src/domain/ids.rs` is `[domain, ids]`, `src/domain/mod.rs` is `[domain]`.
fn module_path(path: &str) -> Vec<String> {
    let inside = path.trim_start_matches("src/").trim_end_matches(".rs");
    let mut module: Vec<String> = inside.split('/').map(str::to_owned).collect();
    module.pop_if(|last| ["mod", "lib", "main"].contains(&last.as_str()));
    module
}

struct Reader {
    tokens: Vec<Token>,
    at: usize,
    /// Where we are, inline modules included.
    module: Vec<String>,
    /// For each open brace, whether it is that of an inline module.
    open: Vec<bool>,
    found: Vec<(Named, usize)>,
}

impl Reader {
    fn run(&mut self) {
        while self.at < self.tokens.len() {
            match (self.text(0), self.text(1), self.text(2)) {
                ("use", next, _) if next != "<" => {
                    self.at += 1;
                    self.tree(&[]);
                }
                ("mod", name, "{") => {
                    self.module.push(name.to_owned());
                    self.open.push(true);
                    self.at += 3;
                }
                ("{", ..) => {
                    self.open.push(false);
                    self.at += 1;
                }
                ("}", ..) => {
                    if self.open.pop() == Some(true) {
                        self.module.pop();
                    }
                    self.at += 1;
                }
                (word, "::", _) if is_word(word) => self.in_place(),
                _ => self.at += 1,
            }
        }
    }

    /// The token so far ahead, or nothing.
    fn text(&self, ahead: usize) -> &str {
        self.tokens
            .get(self.at + ahead)
            .map_or("", |token| token.text.as_str())
    }

    fn line(&self) -> usize {
        self.tokens.get(self.at).map_or(0, |token| token.line)
    }

    /// A path in the midst of code.
    fn in_place(&mut self) {
        let line = self.line();
        let mut path = vec![self.text(0).to_owned()];
        self.at += 1;
        while self.text(0) == "::" && is_word(self.text(1)) {
            path.push(self.text(1).to_owned());
            self.at += 2;
        }
        self.note(&path, line);
    }

    /// One tree of a `use` declaration, up to the sign after it.
    fn tree(&mut self, prefix: &[String]) {
        let mut path = prefix.to_vec();
        let mut line = self.line();
        loop {
            match self.text(0) {
                "::" | "#" => {}
                "{" => {
                    self.branches(&path);
                    return;
                }
                "as" => self.at += 1,
                "*" => path.push("*".to_owned()),
                word if is_word(word) => {
                    line = self.line();
                    path.push(word.to_owned());
                }
                _ => break,
            }
            self.at += 1;
        }
        self.note(&path, line);
    }

    /// The trees between braces.
    fn branches(&mut self, prefix: &[String]) {
        self.at += 1;
        while !matches!(self.text(0), "}" | "") {
            self.tree(prefix);
            if self.text(0) != "}" {
                self.at += 1;
            }
        }
        self.at += 1;
    }

    fn note(&mut self, path: &[String], line: usize) {
        let Some(first) = path.first() else {
            return;
        };
        let ours = match first.as_str() {
            "crate" | "stationmaster" => path[1..].to_vec(),
            "self" | "super" => {
                let mut place = self.module.clone();
                let ups = path
                    .iter()
                    .take_while(|word| *word == "super" || *word == "self");
                let skipped = ups.clone().count();
                for _ in ups.filter(|word| *word == "super") {
                    place.pop();
                }
                place.extend_from_slice(&path[skipped..]);
                place
            }
            _ => {
                self.found.push((Named::Crate(first.clone()), line));
                return;
            }
        };
        self.found.push((Named::Ours(ours), line));
    }
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}
