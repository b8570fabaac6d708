//! A Rust file as the rules see it: every path it names, wherever it names it (`use` trees, types,
//! expressions, the bodies of macros), with `crate`, `self` and `super` resolved.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// One file.
pub struct Source {
    /// From the repository's root: `src/gui/mod.rs`.
    pub file: String,
    /// Where the file stands in the crate: `["gui"]`; empty for `lib.rs` and `main.rs`.
    pub module: Vec<String>,
    pub paths: Vec<NamedPath>,
    /// Every identifier, those of `paths` included.
    pub idents: Vec<(String, usize)>,
    /// Every literal as it is written, doc comments included.
    pub literals: Vec<(String, usize)>,
    /// Lines that move code to where its file does not stand: `#[path]`, `include!`.
    pub moved: Vec<usize>,
}

/// A path as it is after resolution. One that starts in this crate begins with `crate`.
pub struct NamedPath {
    pub segments: Vec<String>,
    pub line: usize,
    /// Ends in `*`.
    pub glob: bool,
    /// `as another`.
    pub renamed: bool,
    /// More `super` than there are modules above.
    pub beyond_root: bool,
}

impl Source {
    /// Reads `text`. The error names the file.
    pub fn read(file: &str, text: &str) -> Result<Self, String> {
        let tokens: TokenStream = text.parse().map_err(|e| format!("{file}: {e}"))?;
        let module = module_of(file);
        let mut source = Source {
            file: file.to_owned(),
            module: module.clone(),
            paths: Vec::new(),
            idents: Vec::new(),
            literals: Vec::new(),
            moved: Vec::new(),
        };
        source.walk(tokens, &module);
        Ok(source)
    }

    fn walk(&mut self, tokens: TokenStream, module: &[String]) {
        let trees: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while let Some(tree) = trees.get(at) {
            match tree {
                TokenTree::Ident(ident) if ident == "mod" => {
                    self.ident(ident);
                    if let (Some(TokenTree::Ident(name)), Some(TokenTree::Group(body))) =
                        (trees.get(at + 1), trees.get(at + 2))
                        && body.delimiter() == Delimiter::Brace
                    {
                        let mut inner = module.to_vec();
                        inner.push(name.to_string());
                        self.ident(name);
                        self.walk(body.stream(), &inner);
                        at += 3;
                        continue;
                    }
                    at += 1;
                }
                TokenTree::Ident(_) => at = self.path(&trees, at, &[], module),
                TokenTree::Group(group) => {
                    self.note_path_attribute(&trees, at, group);
                    self.walk(group.stream(), module);
                    at += 1;
                }
                TokenTree::Literal(literal) => {
                    self.literals.push((literal.to_string(), literal.span().start().line));
                    at += 1;
                }
                TokenTree::Punct(_) => at += 1,
            }
        }
    }

    /// Reads the path that begins at `trees[at]`, after `prefix` when it is a branch of a `use` tree.
    /// Returns where it ends.
    fn path(&mut self, trees: &[TokenTree], mut at: usize, prefix: &[String], module: &[String]) -> usize {
        let mut segments = prefix.to_vec();
        let mut glob = false;
        let line = trees[at].span().start().line;
        loop {
            match trees.get(at) {
                Some(TokenTree::Ident(ident)) => {
                    self.ident(ident);
                    segments.push(plain(ident));
                    at += 1;
                }
                Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                    self.branches(group, &segments, module);
                    return at + 1;
                }
                Some(TokenTree::Punct(star)) if star.as_char() == '*' => {
                    glob = true;
                    at += 1;
                    break;
                }
                // A turbofish, `$name`: the path that is known ends here.
                _ => break,
            }
            if !is_joint(trees, at) {
                break;
            }
            at += 2;
        }
        let renamed = matches!(trees.get(at), Some(TokenTree::Ident(word)) if word == "as");
        if segments.first().is_some_and(|first| first == "include")
            && matches!(trees.get(at), Some(TokenTree::Punct(bang)) if bang.as_char() == '!')
        {
            self.moved.push(line);
        }
        let (segments, beyond_root) = resolve(segments, module);
        self.paths.push(NamedPath { segments, line, glob, renamed, beyond_root });
        at
    }

    /// The branches of a `use` tree's braces. Braces that follow `::` are nothing else.
    fn branches(&mut self, group: &Group, prefix: &[String], module: &[String]) {
        let trees: Vec<TokenTree> = group.stream().into_iter().collect();
        let mut at = 0;
        while at < trees.len() {
            at = match &trees[at] {
                TokenTree::Punct(comma) if comma.as_char() == ',' => at + 1,
                TokenTree::Ident(word) if word == "as" => at + 2,
                _ => self.path(&trees, at, prefix, module).max(at + 1),
            };
        }
    }

    fn note_path_attribute(&mut self, trees: &[TokenTree], at: usize, group: &Group) {
        let hash = at.checked_sub(1).and_then(|before| trees.get(before));
        if !matches!(hash, Some(TokenTree::Punct(p)) if p.as_char() == '#') {
            return;
        }
        let inner: Vec<TokenTree> = group.stream().into_iter().collect();
        let sets_path = inner.windows(2).any(|pair| {
            matches!(&pair[0], TokenTree::Ident(name) if name == "path")
                && matches!(&pair[1], TokenTree::Punct(p) if p.as_char() == '=')
        });
        if sets_path {
            self.moved.push(group.span().start().line);
        }
    }

    fn ident(&mut self, ident: &proc_macro2::Ident) {
        self.idents.push((plain(ident), ident.span().start().line));
    }
}

/// `src/a/b.rs` and `src/a/b/mod.rs` are `a::b`; `src/lib.rs` and `src/main.rs` the root.
fn module_of(file: &str) -> Vec<String> {
    let inside = file.strip_prefix("src/").unwrap_or(file).trim_end_matches(".rs");
    let mut module: Vec<String> = inside.split('/').map(str::to_owned).collect();
    let is_root = module.len() == 1 && (module[0] == "lib" || module[0] == "main");
    if is_root || module.last().is_some_and(|last| last == "mod") {
        module.pop();
    }
    module
}

/// Makes a path that starts at `crate`, `self`, `super` or the library's own name start at `crate`.
/// The flag: it climbed beyond the root.
fn resolve(segments: Vec<String>, module: &[String]) -> (Vec<String>, bool) {
    let mut base = match segments[0].as_str() {
        "crate" | "lineseal" => return ([vec!["crate".to_owned()], segments[1..].to_vec()].concat(), false),
        "super" => module.to_vec(),
        // Alone it is a method's receiver.
        "self" if segments.len() > 1 => module.to_vec(),
        _ => return (segments, false),
    };
    let mut rest = segments.as_slice();
    while let Some((first, others)) = rest.split_first() {
        match first.as_str() {
            "self" => {}
            "super" => {
                if base.pop().is_none() {
                    return (segments, true);
                }
            }
            _ => break,
        }
        rest = others;
    }
    ([vec!["crate".to_owned()], base, rest.to_vec()].concat(), false)
}

/// An identifier without `r#`.
fn plain(ident: &proc_macro2::Ident) -> String {
    let text = ident.to_string();
    text.strip_prefix("r#").map(str::to_owned).unwrap_or(text)
}

/// `::` at this place.
fn is_joint(trees: &[TokenTree], at: usize) -> bool {
    let colon = |tree: Option<&TokenTree>| matches!(tree, Some(TokenTree::Punct(p)) if p.as_char() == ':');
    colon(trees.get(at)) && colon(trees.get(at + 1))
}
