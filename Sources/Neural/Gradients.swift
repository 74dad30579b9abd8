/// The derivatives of a loss with respect to every parameter of a network, as one lane of a batch
/// finds them.
public struct Gradients: Sendable {
  private var slots: [Gradient]

  /// Zeros for every parameter of `network`.
  public init(of network: some Parameterized) {
    var slots: [Gradient] = []
    network.forEachParameter { _, parameter in
      precondition(parameter.slot == slots.count, "parameters are visited in their order of making")
      slots.append(Gradient(parameter.value.rows, parameter.value.columns))
    }
    self.slots = slots
  }

  public subscript(_ parameter: Parameter) -> Gradient {
    get { slots[parameter.slot] }
    _modify { yield &slots[parameter.slot] }
  }

  /// Moves out what there is for the parameter of that number.
  mutating func detach(_ slot: Int) -> Gradient { slots[slot].detached() }
}

/// Derivatives with respect to one parameter: a sum of matrices and products.
///
/// A product that is larger than its factors is not computed before ``value(of:)``: then all lanes'
/// are added up in one place, rather than in one for each lane.
public struct Gradient: Sendable {
  private let rows, columns: Int
  /// What is added up already; empty, which stands for zeros, if nothing is.
  private var known = Matrix(0, 0)
  private var products: [(a: Transposed, b: Matrix)] = []

  fileprivate init(_ rows: Int, _ columns: Int) { (self.rows, self.columns) = (rows, columns) }

  /// For what adds to a matrix in ways of its own.
  public var sum: Matrix {
    get { known.elements.isEmpty ? Matrix(rows, columns) : known }
    _modify {
      if known.elements.isEmpty { known = Matrix(rows, columns) }
      yield &known
    }
  }

  /// `self += other`
  public mutating func add(_ other: Matrix) { sum.add(other) }

  /// Adds the sum of the rows of `other`.
  public mutating func add(rowsOf other: Matrix) { sum.add(rowsOf: other) }

  /// `self += a b`
  public mutating func add(product a: Transposed, _ b: Matrix) {
    if a.matrix.elements.count + b.elements.count < rows * columns {
      products.append((a, b))
    } else {
      sum.add(product: a, b)
    }
  }

  public var value: Matrix { Self.value(of: [self]) }

  /// The sum of what the lanes have found, in their order.
  static func value(of lanes: [Gradient]) -> Matrix {
    // Nil stands for zeros, which nothing is added to.
    var sum: Matrix?
    for lane in lanes {
      if !lane.known.elements.isEmpty {
        if sum == nil { sum = lane.known } else { sum?.add(lane.known) }
      }
      for (a, b) in lane.products {
        if sum == nil { sum = a * b } else { sum?.add(product: a, b) }
      }
    }
    return sum ?? lanes.first?.sum ?? Matrix(0, 0)
  }

  /// Leaves zeros behind and returns what it was.
  mutating func detached() -> Gradient {
    var taken = Gradient(rows, columns)
    swap(&taken, &self)
    return taken
  }
}
