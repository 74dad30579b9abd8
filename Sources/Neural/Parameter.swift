/// One array of trained numbers and everything that belongs to it.
public struct Parameter: Sendable {
  /// The number of this parameter in its network: where ``Gradients`` keeps its gradient.
  fileprivate(set) var slot: Int
  public var value: Matrix
  /// Exponential moving averages of the gradient and of its square (AdamW). Empty, which stands for
  /// zeros, until the first update or ``visitArrays(_:)``.
  public internal(set) var moment1: Matrix
  public internal(set) var moment2: Matrix
  /// Exponential moving average of the value, which is what sampling uses.
  public package(set) var average: Matrix

  public var count: Int { value.elements.count }

  mutating func makeMoments() {
    guard moment1.elements.isEmpty else { return }
    moment1 = Matrix(value.rows, value.columns)
    moment2 = moment1
  }

  /// The arrays a training run has to keep, by name.
  public mutating func visitArrays(_ body: (String, inout Matrix) throws -> Void) rethrows {
    makeMoments()
    try body("value", &value)
    try body("moment1", &moment1)
    try body("moment2", &moment2)
    try body("average", &average)
  }
}

/// Makes the parameters of one network, in order: numbers them, and draws their first values.
public struct ParameterSource {
  let seed: UInt64
  private var next = 0

  public init(seed: UInt64) { self.seed = seed }

  /// A parameter that starts at `value` everywhere.
  public mutating func constant(_ rows: Int, _ columns: Int, _ value: Float = 0) -> Parameter {
    make(Matrix(rows, columns, fill: value))
  }

  /// A parameter uniform in ±1/√fanIn, PyTorch's choice for linear layers and convolutions.
  public mutating func uniform(_ rows: Int, _ columns: Int, fanIn: Int) -> Parameter {
    let bound = 1 / Float(max(fanIn, 1)).squareRoot()
    let stream = RandomStream(seed: seed, purpose: .weights, step: next)
    return make(stream.uniform(rows: 0..<rows, columns: columns).affine(2 * bound, -bound))
  }

  private mutating func make(_ value: Matrix) -> Parameter {
    defer { next += 1 }
    let none = Matrix(0, 0)
    return Parameter(slot: next, value: value, moment1: none, moment2: none, average: value)
  }
}

/// A network or a part of one: something that has parameters.
public protocol Parameterized: Sendable {
  /// Calls `body` once for every parameter, always in the same order, with its name: `path`, a
  /// dot, and the name within this part.
  mutating func visit(_ path: String, _ body: (String, inout Parameter) throws -> Void) rethrows

  /// Makes whatever depends on the weights alone, for the calls that follow, until the weights
  /// change. Optional: only time depends on it. Layers that consist of others pass it on.
  ///
  /// - Parameter training: whether `backward` will be called, too.
  mutating func prepare(training: Bool)
}

extension Array: Parameterized where Element: Parameterized {
  public mutating func visit(
    _ path: String, _ body: (String, inout Parameter) throws -> Void
  ) rethrows {
    for i in indices { try self[i].visit("\(path).\(i)", body) }
  }

  public mutating func prepare(training: Bool) {
    for i in indices { self[i].prepare(training: training) }
  }
}

extension Parameterized {
  public mutating func prepare(training: Bool) {}

  /// The same network, prepared.
  public func prepared(training: Bool) -> Self {
    var copy = self
    copy.prepare(training: training)
    return copy
  }

  /// Calls `body` for every parameter of a whole network, with its name.
  public mutating func visitParameters(
    _ body: (String, inout Parameter) throws -> Void
  ) rethrows {
    try visit("") { path, parameter in try body(String(path.drop { $0 == "." }), &parameter) }
  }

  /// Calls `body` for every parameter, to read it only.
  public func forEachParameter(_ body: (String, Parameter) throws -> Void) rethrows {
    var copy = self
    try copy.visitParameters { try body($0, $1) }
  }

  /// The number of trained numbers.
  public var parameterCount: Int {
    var count = 0
    forEachParameter { count += $1.count }
    return count
  }

  /// Numbers the parameters anew, from `first` on: where the network is a part of another, and follows
  /// so many parameters.
  package mutating func number(from first: Int) {
    var next = first
    visitParameters { _, parameter in
      parameter.slot = next
      next += 1
    }
  }

  /// The same network computing with its averaged weights. Nothing is copied: value and average
  /// change places.
  public var averaged: Self {
    var copy = self
    copy.visitParameters { swap(&$1.value, &$1.average) }
    return copy
  }
}
