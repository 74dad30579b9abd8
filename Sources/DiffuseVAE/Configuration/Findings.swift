/// Where a setting is written: a line and a column of the file, or an override.
struct Place: Hashable {
  /// 0 is the file, 1… are the overrides in their order.
  var source: Int

  /// The file as the user named it, or the override itself.
  var name: String

  /// From 1; columns count Unicode scalars. Line 0 is the source as a whole.
  var line = 0
  var column = 0
}

extension Place: Comparable, CustomStringConvertible {
  static func < (a: Place, b: Place) -> Bool {
    (a.source, a.line, a.column) < (b.source, b.line, b.column)
  }

  var description: String { line == 0 ? name : "\(name):\(line):\(column)" }
}

/// What reading a configuration has found: every problem, and which settings were given.
struct Findings {
  /// Where each setting was given last, by its path, such as `vae.latent`.
  private(set) var given: [String: Place] = [:]

  private var problems: Set<Problem> = []

  /// Nobody mends more at once.
  static let most = 100

  /// Whether there were more problems than are told.
  private(set) var isFull = false

  private var unread: Set<String> = []

  private struct Problem: Hashable {
    var place: Place
    var text: String
  }

  mutating func give(_ path: String, at place: Place) {
    given[path] = place
  }

  /// Notes a problem with a setting, or with a block, which may be the whole: "".
  mutating func report(_ problem: String, at place: Place, about path: String) {
    insert(Problem(place: place, text: problem))
    unread.insert(path)
  }

  private mutating func insert(_ problem: Problem) {
    guard problems.count < Self.most else {
      isFull = isFull || !problems.contains(problem)
      return
    }
    problems.insert(problem)
  }

  /// Notes that settings do not go together, where the last of them was given.
  ///
  /// Silent if one of them was not read, or perhaps misspelt: then it is not known what was meant.
  mutating func report(_ conflict: String, between paths: [String], in source: Place) {
    let areKnown = unread.allSatisfy { unread in
      !unread.isEmpty && !paths.contains { $0 == unread || $0.hasPrefix(unread + ".") }
    }
    guard areKnown else { return }
    let place = paths.compactMap { given[$0] }.max() ?? source
    insert(Problem(place: place, text: conflict))
  }

  /// In the order in which they stand in the file, then in the overrides.
  var messages: [String] {
    let sorted = problems.sorted { ($0.place, $0.text) < ($1.place, $1.text) }
    let last = isFull ? sorted.suffix(1) : []
    return sorted.map { "\($0.place): \($0.text)" }
      + last.map { "\($0.place.name): there are more mistakes than these" }
  }
}
