//! The sources of the project as the laws read them: text, and code in tokens.

use std::path::Path;

/// One file of the project.
#[derive(Debug)]
pub(crate) struct Source {
    /// From the project's root, with `/` between.
    pub(crate) path: String,
    /// The file as it is.
    pub(crate) text: String,
}

/// A word or a sign of the code; no comment, no text, no number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    /// The word, `::`, or one character.
    pub(crate) text: String,
    /// Counted from one.
    pub(crate) line: usize,
}

impl Source {
    /// A source for the test of a law.
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    /// The code of the file.
    pub(crate) fn tokens(&self) -> Vec<Token> {
        Lexer::new(&self.text).run()
    }
}

/// All files under these folders whose names end so, in the order of their paths.
pub(crate) fn sources(folders: &[&str], extensions: &[&str]) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders: Vec<_> = folders.iter().map(|folder| root.join(folder)).collect();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
            if path.is_dir() && !path.ends_with("node_modules") && !path.ends_with("target") {
                folders.push(path);
            } else if extensions.contains(&extension) {
                let relative = path.strip_prefix(root).unwrap();
                found.push(Source {
                    path: relative.to_str().unwrap().replace('\\', "/"),
                    text: std::fs::read_to_string(&path).unwrap(),
                });
            }
        }
    }
    assert!(!found.is_empty(), "a law that reads nothing holds nothing");
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// Fails with every offence on a line of its own.
pub(crate) fn hold(law: &str, offences: &[String]) {
    assert!(offences.is_empty(), "{law}:\n{}\n", offences.join("\n"));
}

/// Cuts code into tokens. It knows just enough of Rust not to take texts and comments for code.
struct Lexer {
    rest: std::iter::Peekable<std::vec::IntoIter<char>>,
    line: usize,
    tokens: Vec<Token>,
}

impl Lexer {
    fn new(text: &str) -> Self {
        let characters: Vec<char> = text.chars().collect();
        Self {
            rest: characters.into_iter().peekable(),
            line: 1,
            tokens: Vec::new(),
        }
    }

    fn run(mut self) -> Vec<Token> {
        while let Some(c) = self.next() {
            match c {
                '/' if self.peek() == Some('/') => self.skip_while(|c| c != '\n'),
                '/' if self.peek() == Some('*') => self.skip_comment(),
                '"' => self.skip_text(),
                '\'' => self.skip_character(),
                ':' if self.peek() == Some(':') => {
                    self.next();
                    self.push("::".to_owned());
                }
                c if c.is_alphabetic() || c == '_' => self.word(c),
                c if c.is_ascii_digit() => self.skip_while(|c| c.is_alphanumeric() || c == '_'),
                c if c.is_whitespace() => {}
                c => self.push(c.to_string()),
            }
        }
        self.tokens
    }

    fn next(&mut self) -> Option<char> {
        let next = self.rest.next();
        self.line += usize::from(next == Some('\n'));
        next
    }

    fn peek(&mut self) -> Option<char> {
        self.rest.peek().copied()
    }

    fn push(&mut self, text: String) {
        self.tokens.push(Token {
            text,
            line: self.line,
        });
    }

    fn skip_while(&mut self, keep: impl Fn(char) -> bool) {
        while self.peek().is_some_and(&keep) {
            self.next();
        }
    }

    /// A comment between `/*` and `*/`, which may hold others.
    fn skip_comment(&mut self) {
        self.next();
        let mut depth = 1;
        while depth > 0 {
            match (self.next(), self.peek()) {
                (Some('/'), Some('*')) => depth += 1,
                (Some('*'), Some('/')) => depth -= 1,
                (None, _) => return,
                _ => continue,
            }
            self.next();
        }
    }

    fn skip_text(&mut self) {
        while let Some(c) = self.next() {
            match c {
                '\\' => drop(self.next()),
                '"' => return,
                _ => {}
            }
        }
    }

    /// A character, or a lifetime, which has no second quote.
    fn skip_character(&mut self) {
        if self.peek() == Some('\\') {
            self.next();
            self.next();
            self.skip_while(|c| c != '\'');
            self.next();
            return;
        }
        let first = self.next();
        if self.peek() == Some('\'') {
            self.next();
        } else if first.is_some_and(char::is_alphanumeric) {
            self.skip_while(|c| c.is_alphanumeric() || c == '_');
        }
    }

    /// A word, unless it is the `r`, `b` or `c` before a text.
    fn word(&mut self, first: char) {
        let mut word = first.to_string();
        while let Some(c) = self.peek().filter(|c| c.is_alphanumeric() || *c == '_') {
            self.next();
            word.push(c);
        }
        let raw = ["r", "br", "cr"].contains(&word.as_str());
        if raw && matches!(self.peek(), Some('"' | '#')) {
            self.skip_raw_text();
        } else if ["b", "c"].contains(&word.as_str()) && self.peek() == Some('"') {
            self.next();
            self.skip_text();
        } else {
            self.push(word);
        }
    }

    /// `#"…"#` with any number of `#`, or the `#` of a raw word.
    fn skip_raw_text(&mut self) {
        let mut fence = 0;
        while self.peek() == Some('#') {
            self.next();
            fence += 1;
        }
        if self.peek() != Some('"') {
            return;
        }
        self.next();
        while let Some(c) = self.next() {
            if c == '"' {
                let mut found = 0;
                while found < fence && self.peek() == Some('#') {
                    self.next();
                    found += 1;
                }
                if found == fence {
                    return;
                }
            }
        }
    }
}

#[test]
fn only_code_is_read_as_code() {
    let source = Source::new(
        "a.rs",
        "// one\n/* two /* three */ four */ use a::b; let x: &'a str = \"five \\\" six\";\n\
         let y = r#\"seven \" eight\"#; let z = ('\\'', 'n', b\"nine\", 10u8); r#type",
    );

    let words: Vec<String> = source
        .tokens()
        .into_iter()
        .filter(|token| token.text.chars().all(char::is_alphanumeric))
        .map(|token| format!("{}{}", token.text, token.line))
        .collect();

    assert_eq!(
        words.join(" "),
        "use2 a2 b2 let2 x2 str2 let3 y3 let3 z3 type3"
    );
}
