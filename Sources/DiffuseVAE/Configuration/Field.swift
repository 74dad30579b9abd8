/// A block of settings: a value which one table of fields reads, prints and documents.
protocol SettingsBlock {
  /// In the order in which they are printed.
  static var fields: [Field<Self>] { get }
}

/// One setting of a block, or a block in a block.
struct Field<Root> {
  let name: String
  fileprivate let overlay: (_ yaml: YAML, _ path: String, inout Root, inout Findings) -> Void
  fileprivate let entry: (Root) -> Entry

  init<Value>(
    _ name: String, _ property: WritableKeyPath<Root, Value>, _ notation: Notation<Value>,
    _ purpose: String
  ) {
    self.name = name
    overlay = { yaml, path, root, findings in
      guard let value = notation.read(yaml, path, &findings) else { return }
      root[keyPath: property] = value
    }
    entry = { root in
      let value = notation.print(root[keyPath: property])
      return Entry(
        name: name, purpose: purpose, content: .value(value, allowed: notation.allowed))
    }
  }

  init<Block: SettingsBlock>(
    _ name: String, _ property: WritableKeyPath<Root, Block>, _ purpose: String
  ) {
    self.name = name
    overlay = { yaml, path, root, findings in
      root[keyPath: property].overlay(yaml, path, &findings)
    }
    entry = { root in
      Entry(name: name, purpose: purpose, content: .block(root[keyPath: property].entries))
    }
  }
}

extension SettingsBlock {
  /// Every setting as it stands.
  var entries: [Entry] { Self.fields.map { $0.entry(self) } }

  /// Changes the settings that `yaml` gives, and no other.
  mutating func overlay(_ yaml: YAML, _ path: String, _ findings: inout Findings) {
    guard case .mapping(let pairs) = yaml.content else {
      if case .refused = yaml.content { return }
      let name = path.isEmpty ? "a configuration" : path
      findings.report(
        "\(name) must be a mapping of settings, not \(yaml.summary)", at: yaml.place, about: path)
      return
    }
    let fields = Self.fields
    var seen: [String: Place] = [:]
    for (key, place, value) in pairs where !findings.isFull {
      let setting = path.isEmpty ? key.asKey : "\(path).\(key.asKey)"
      if let first = seen.updateValue(place, forKey: key) {
        findings.report(
          "\(setting) is given twice, first at \(first)", at: place, about: setting)
      }
      if let field = fields.first(where: { $0.name == key }) {
        findings.give(setting, at: place)
        field.overlay(value, setting, &self, &findings)
      } else {
        let names = fields.map(\.name)
        let help =
          nearest(to: key, among: names).map { "did you mean \($0)?" }
          ?? "there are \(names.joined(separator: ", "))"
        findings.report("\(setting) is not a setting; \(help)", at: place, about: path)
      }
    }
  }
}
