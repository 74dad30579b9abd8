import Yams

/// Reads one YAML document, and refuses what only surprises in a configuration.
///
/// Three things must not reach Yams. It hashes every key, which takes years for a list of aliases
/// to lists of aliases to …, and long for collections as keys of keys; and it stops at the second
/// key of one name. So the `*` of an alias, the `?` or `:` of a collection as a key and the first
/// letter of a repeated key are hidden: a placeholder takes their place while Yams reads, which
/// moves nothing, and they return in the strings that come out.
struct YAMLReader {
  /// In bytes: eighty times what all settings need.
  static let largestSize = 65_536

  /// Each repeated key costs another reading of the text: so many, and of so many characters together.
  static let mostRepeatedKeys = 20
  static let mostRereadCharacters = 100_000

  /// The first placeholder. The text may not use the private plane that begins here.
  static let firstPlaceholder: UInt32 = 0x10_0000

  private let source: Place
  private let text: [Unicode.Scalar]
  private let lineStarts: [Int]

  /// `text` with placeholders.
  private var disguised: [Unicode.Scalar]

  /// What each placeholder stands for: first these three, then letters of repeated keys.
  private var hidden: [Unicode.Scalar] = ["*", "?", ":"]

  /// The document in `bytes`; nil if there is none, `refused` if it cannot be read.
  static func read(
    _ bytes: [UInt8], at source: Place, _ findings: inout Findings
  ) -> YAML? {
    guard bytes.count <= largestSize else {
      findings.report("longer than \(largestSize) bytes", at: source, about: "")
      return YAML(content: .refused, place: source)
    }
    var reader = YAMLReader(String(decoding: bytes, as: UTF8.self), at: source)
    return reader.read(&findings)
  }

  private init(_ string: String, at source: Place) {
    let text = Array(string.unicodeScalars.drop { $0 == "\u{FEFF}" })
    self.source = source
    self.text = text
    lineStarts =
      [0]
      + text.indices.lazy.map { $0 + 1 }.filter { next in
        text[next - 1] == "\n" || (text[next - 1] == "\r" && text[next...].first != "\n")
      }
    disguised = text
  }

  private mutating func read(_ findings: inout Findings) -> YAML? {
    var last: Unicode.Scalar = " "  // before this one, other than blanks
    for offset in text.indices {
      if let problem = problem(at: offset) {
        let line = lineStarts.lastIndex { $0 <= offset } ?? 0
        let place = place(line: line + 1, column: offset - lineStarts[line] + 1)
        findings.report(problem, at: place, about: "")
        return YAML(content: .refused, place: place)
      }
      let scalar = text[offset]
      if let index = hidden.firstIndex(of: scalar), scalar != ":" || last == "]" || last == "}" {
        disguised[offset] = placeholder(index)
      }
      if scalar != " " && scalar != "\t" { last = scalar }
    }
    do {
      return try compose().map { convert($0, &findings) }
    } catch {
      let (problem, mark) = explanation(of: error)
      findings.report(problem, at: place(mark), about: "")
      return YAML(content: .refused, place: place(mark))
    }
  }
}

// MARK: - Characters and places

extension YAMLReader {
  /// What is wrong with a character, whatever its context.
  private func problem(at offset: Int) -> String? {
    switch text[offset] {
    case "\\" where text[offset...].starts(with: #"\U0010"#.unicodeScalars):
      "characters from U+100000 on are not allowed"
    case "\t", "\n", "\r", " "..."~", "\u{A0}"..."\u{2027}", "\u{202A}"..."\u{FEFE}",
      "\u{FF00}"..."\u{FFFC}", "\u{10000}"..."\u{FFFFF}":
      nil
    case "\u{FFFD}":
      "not UTF-8"  // This is what the decoder puts for bytes without a meaning.
    case let scalar:
      "the character \(scalar.escaped(asASCII: true)) is not allowed"
    }
  }

  private func place(line: Int, column: Int) -> Place {
    Place(source: source.source, name: source.name, line: line, column: column)
  }

  /// Overrides are short, and keep their place as a whole.
  private func place(_ mark: Mark?) -> Place {
    guard source.source == 0, let mark else { return source }
    return place(line: mark.line, column: mark.column)
  }

  private func offset(of mark: Mark) -> Int? {
    guard lineStarts.indices.contains(mark.line - 1) else { return nil }
    let offset = lineStarts[mark.line - 1] + mark.column - 1
    return text.indices.contains(offset) ? offset : nil
  }

  private func placeholder(_ index: Int) -> Unicode.Scalar {
    Unicode.Scalar(Self.firstPlaceholder + UInt32(index)) ?? "*"
  }

  private func revealed(_ string: String) -> String {
    var scalars = String.UnicodeScalarView()
    for scalar in string.unicodeScalars {
      let index = Int(scalar.value) - Int(Self.firstPlaceholder)
      scalars.append(hidden.indices.contains(index) ? hidden[index] : scalar)
    }
    return String(scalars)
  }
}

// MARK: - Nodes

extension YAMLReader {
  /// The document as Yams sees it, second keys of the same name included.
  private mutating func compose() throws -> Node? {
    while true {
      do {
        let text = String(String.UnicodeScalarView(disguised))
        return try Parser(yaml: text, resolver: .basic, encoding: .utf8).singleRoot()
      } catch YamlError.duplicatedKeysInMapping(let keys, let context) {
        guard hide(keyAt: context.mark) else {
          throw YamlError.duplicatedKeysInMapping(duplicates: keys, context: context)
        }
      }
    }
  }

  /// Makes a key unique by its first letter. False if it is nothing that a setting could be called.
  private mutating func hide(keyAt mark: Mark) -> Bool {
    let repeated = hidden.count - 3
    guard repeated < Self.mostRepeatedKeys, repeated * text.count < Self.mostRereadCharacters,
      var offset = offset(of: mark)
    else { return false }
    if text[offset] == "\"" || text[offset] == "'" { offset += 1 }
    guard offset < text.count,
      text[offset].properties.isAlphabetic || ["*", "?", "<", "_"].contains(text[offset])
    else { return false }
    disguised[offset] = placeholder(hidden.count)
    hidden.append(text[offset])
    return true
  }

  private func convert(_ node: Node, _ findings: inout Findings) -> YAML {
    let place = place(node.mark)
    let refusal: String? =
      switch node.mark.flatMap(offset).map({ text[$0] }) {
      case "&": "anchors are not allowed"
      case "*": "aliases are not allowed"
      case "!": "tags are not allowed"
      case "?": "a key must be a word"
      default: nil
      }
    if let refusal { findings.report(refusal, at: place, about: "") }
    switch node {
    case .scalar(let scalar):
      let content = YAML.Content.scalar(revealed(scalar.string), plain: scalar.style == .plain)
      return YAML(content: refusal == nil ? content : .refused, place: place)
    case .sequence(let nodes):
      return YAML(content: .list(nodes.map { convert($0, &findings) }), place: place)
    case .mapping(let pairs):
      return YAML(content: .mapping(entries(pairs, &findings)), place: place)
    case .alias:
      return YAML(content: .refused, place: place)  // Yams never reads one, and here none is left.
    }
  }

  private func entries(
    _ pairs: Node.Mapping, _ findings: inout Findings
  ) -> [(key: String, place: Place, value: YAML)] {
    pairs.compactMap { key, value in
      let (key, value) = (convert(key, &findings), convert(value, &findings))
      switch key.content {
      case .scalar("<<", plain: true):
        findings.report("merge keys are not allowed", at: key.place, about: "")
      case .scalar(let text, _):
        return (text, key.place, value)
      case .list, .mapping:
        findings.report("a key must be a word", at: key.place, about: "")
      case .refused:
        break
      }
      return nil
    }
  }

  private func explanation(of error: any Error) -> (problem: String, mark: Mark?) {
    switch error {
    case YamlError.scanner(let context, let problem, let mark, _),
      YamlError.parser(let context, let problem, let mark, _):
      (["not YAML: \(problem)", context?.text].compactMap(\.self).joined(separator: " "), mark)
    case YamlError.composer(_, _, let mark, _):
      ("a second document begins here; a configuration is one", mark)
    case YamlError.duplicatedKeysInMapping(_, let context):
      ("a key is given twice", context.mark)
    default:
      ("not YAML: \(error)", nil)
    }
  }
}
