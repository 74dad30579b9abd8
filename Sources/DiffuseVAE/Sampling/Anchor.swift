import Formats
import Neural

/// What a path leads through, as a user names it.
public enum Anchor: Equatable, Sendable {
  /// `sample:3`: an image of the seed.
  case sample(Int)
  /// Real images, each of them: see ``ImageSource``.
  case images(ImageSource)
  /// `z:PATH`: every latent of an NPY or NPZ file, `[N, latent]`.
  case latents(String)

  public init?(_ text: String) {
    if text.hasPrefix("sample:") {
      // Random numbers have addresses of 32 bits, and further paths take the next ones.
      guard let number = Int(text.dropFirst(7)), (0..<1 << 31).contains(number) else { return nil }
      self = .sample(number)
    } else if text.hasPrefix("z:") {
      guard text.count > 2 else { return nil }
      self = .latents(String(text.dropFirst(2)))
    } else {
      guard let source = ImageSource(text) else { return nil }
      if case .label = source { return nil }
      self = .images(source)
    }
  }

  package var isImage: Bool { if case .images = self { true } else { false } }
  package var isLatents: Bool { if case .latents = self { true } else { false } }
  package var isSample: Bool { if case .sample = self { true } else { false } }

  /// Whether it is one of many by a number, so that a second path may take the next.
  package var isNumbered: Bool {
    switch self {
    case .sample, .images(.dataset): true
    case .images, .latents: false
    }
  }
}

extension Generator {
  /// `count` paths, each of two images of the seed: 2r and 2r + 1.
  package func pairs(_ count: Int) throws -> [[Draft]] {
    let ends = try drafts(count: 2 * count)
    return (0..<count).map { [ends[2 * $0], ends[2 * $0 + 1]] }
  }

  /// `count` paths through the same anchors, but that those with a number are one further in every
  /// path.
  ///
  /// - Parameters:
  ///   - count: 1 or more.
  ///   - inverting: whether real images start from the y_T that leads back to them.
  /// - Throws: ``UserError`` or `FormatError` for anchors that are not there, fewer than two, and
  ///   images of different classes, if the model is told one for the whole path.
  package func paths(
    _ count: Int, through anchors: [Anchor], inverting: Bool
  ) throws -> [[Draft]] {
    let found = try anchors.map { try drafts(of: $0, paths: count, inverting: inverting) }
    let stops = zip(anchors, found).reduce(0) { $0 + ($1.0.isNumbered ? 1 : $1.1.drafts.count) }
    guard stops <= 1_000_000 / count else {
      throw UserError("\(count) paths lead through \(stops) images each; 1000000 in all may be")
    }
    var paths = [[Draft]](repeating: [], count: count)
    var labels = [Set<Int>](repeating: [], count: count)
    for (anchor, (drafts, areLabelled)) in zip(anchors, found) {
      for path in paths.indices {
        let own = anchor.isNumbered ? [drafts[path]] : drafts
        paths[path] += own
        if areLabelled { labels[path].formUnion(own.map(\.label)) }
      }
    }
    guard paths.allSatisfy({ $0.count > 1 }) else {
      throw UserError("a path leads through two images or more; name another")
    }
    for path in paths.indices where options.label == nil && model.configuration.classes > 0 {
      guard labels[path].count < 2 else {
        let classes = labels[path].sorted().map(String.init).joined(separator: " and ")
        throw UserError(
          """
          a path is of one class, which the model is told: its images are of \(classes); \
          choose others, or give --label
          """)
      }
      paths[path][0].label = labels[path].first ?? paths[path][0].label
    }
    return paths
  }

  /// Paths that move one latent of the anchor's first image each, from -3 to 3.
  ///
  /// - Throws: ``UserError`` for a number that no latent has.
  package func traversals(
    of anchor: Anchor, latents: [Int], inverting: Bool
  ) throws -> [[Draft]] {
    let first =
      if case .images(let source) = anchor {
        try drafts(of: model.images(source, count: 1), inverting: inverting)[0]
      } else {
        try drafts(of: anchor, paths: 1, inverting: inverting).drafts[0]
      }
    guard let z = first.z else { throw UserError("formulation none has no VAE, and so no z") }
    return try latents.enumerated().map { path, latent in
      guard (0..<z.columns).contains(latent) else {
        throw UserError("there is no latent \(latent); z has 0...\(z.columns - 1)")
      }
      return [Float(-3), 3].map { value in
        var draft = first
        draft.z?[0, latent] = value
        draft.number = path
        return draft
      }
    }
  }

  /// What an anchor stands for: a draft for each path if it is numbered, else one for each of its
  /// images; and whether these are known to be of their classes.
  private func drafts(
    of anchor: Anchor, paths: Int, inverting: Bool
  ) throws -> (drafts: [Draft], areLabelled: Bool) {
    switch anchor {
    case .sample(let first): return (try drafts(Array(first..<first + paths)), false)
    case .latents(let path):
      return (try drafts(of: model.latents(file: path), labels: nil), false)
    case .images(let source):
      let images = try model.images(source, count: anchor.isNumbered ? paths : nil)
      return (try drafts(of: images, inverting: inverting), images.labels != nil)
    }
  }
}

extension Model {
  /// Latents that a user brings: an NPY file, `[N, latent]`, or an NPZ file with an array `z`.
  package func latents(file path: String) throws -> Matrix {
    guard let vae else { throw UserError("formulation none has no VAE, and so no z") }
    return try Matrix(array: path, of: [vae.latent], name: .z)
  }
}
