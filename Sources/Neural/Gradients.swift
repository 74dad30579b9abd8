/// The derivatives of a loss with respect to every parameter of a network, as one lane of a batch
/// finds them.
public struct Gradients: Sendable {
  private var slots: [Gradient]
  /// The number of the network's first parameter: not 0 if it is a part of another.
  private let first: Int

  /// Zeros for every parameter of `network`.
  public init(of network: some Parameterized) {
    var slots: [Gradient] = []
    var first: Int?
    network.forEachParameter { _, parameter in
      first = first ?? parameter.slot
      precondition(
        parameter.slot == (first ?? 0) + slots.count,
        "parameters are visited in their order of making")
      slots.append(Gradient(parameter.value.rows, parameter.value.columns))
    }
    (self.slots, self.first) = (slots, first ?? 0)
  }

  public subscript(_ parameter: Parameter) -> Gradient {
    get { slots[parameter.slot - first] }
    _modify { yield &slots[parameter.slot - first] }
  }

  /// Moves out what there is for a parameter.
  mutating func detach(_ parameter: Parameter) -> Gradient {
    slots[parameter.slot - first].detached()
  }
}

/// Derivatives with respect to one parameter: a sum of matrices and products.
///
/// Products that are larger than their factors, all together, are not computed before
/// ``value(of:)``: then all lanes' are added up in one place, rather than in one for each lane.
public struct Gradient: Sendable {
  private let rows, columns: Int
  /// What is added up already; empty, which stands for zeros, if nothing is.
  private var known = Matrix(0, 0)
  private var products: [(a: Transposed, b: Matrix)] = []
  /// Numbers of all factors of ``products``: fewer than the parameter has.
  private(set) var waiting = 0

  fileprivate init(_ rows: Int, _ columns: Int) { (self.rows, self.columns) = (rows, columns) }

  /// What is added up already, for what adds to a matrix in ways of its own.
  var sum: Matrix {
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
    precondition(
      a.matrix.columns == rows && b.columns == columns && a.matrix.rows == b.rows,
      "the derivative of another parameter")
    products.append((a, b))
    waiting += a.matrix.elements.count + b.elements.count
    guard waiting >= rows * columns else { return }
    for (a, b) in products { sum.add(product: a, b) }
    (products, waiting) = ([], 0)
  }

  public var value: Matrix { Self.value(of: [self]) }

  /// The sum of what the lanes have found, in their order.
  static func value(of lanes: consuming [Gradient]) -> Matrix {
    // The first that there is takes up the others.
    var total = Matrix(0, 0)
    for number in lanes.indices {
      var lane = lanes[number].detached()
      if total.elements.isEmpty {
        swap(&total, &lane.known)
      } else if !lane.known.elements.isEmpty {
        total.add(lane.known)
      }
      for (a, b) in lane.products {
        if total.elements.isEmpty { total = a * b } else { total.add(product: a, b) }
      }
    }
    return total.elements.isEmpty ? lanes.first?.sum ?? total : total
  }

  /// Leaves zeros behind and returns what it was.
  mutating func detached() -> Gradient {
    var taken = Gradient(rows, columns)
    swap(&taken, &self)
    return taken
  }
}
