import Testing

@testable import Neural

@Suite struct WorkClockTests {
  @Test("Products are counted by their shape while they are watched")
  func products() throws {
    // Of shapes that no other test multiplies, since tests run side by side.
    let (a, b) = (normal(37, 23, seed: 1), normal(23, 11, seed: 2))
    let ((), tally) = WorkClock.measure {
      for _ in 0..<3 { _ = a * b }
      _ = b.transposed * a.transposed
    }
    let found = tally.products.filter { $0.key.operations == 2 * 37 * 23 * 11 }
    #expect(found.values.sorted() == [1, 3])
    #expect(try #require(tally.seconds[.products]) > 0)
    _ = a * b
    let ((), nothing) = WorkClock.measure {}
    #expect(nothing.products.keys.allSatisfy { $0.operations != 2 * 37 * 23 * 11 })
    // What is replayed is the same product.
    for product in found.keys {
      var replay = Product.Replay(product)
      let ((), replayed) = WorkClock.measure { replay.compute(times: 2) }
      #expect(replayed.products[product] == 2)
    }
  }
}
