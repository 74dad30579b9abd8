/// At which times training looks.
public enum TimestepSampling: String, CaseIterable, Sendable {
  /// At all timesteps equally often.
  case uniform

  /// At timesteps, more often where the loss is large: ``TimestepImportance``.
  case importance

  /// At times between timesteps, too, all equally often: continuous time.
  case continuous

  /// Times between the first timestep and the last for the rows of a batch, each of which is
  /// uniform, but which together are spread evenly: the mean loss over them varies less than that of
  /// independent ones (Kingma et al. 2021, appendix I.1).
  ///
  /// - Parameters:
  ///   - rows: of the batch.
  ///   - batch: rows of the whole batch.
  ///   - shift: of all rows together: In 0..<1.
  ///   - steps: T.
  public static func spread(
    _ rows: Range<Int>, of batch: Int, shift: Double, steps: Int
  ) -> [Double] {
    rows.map { row in
      let place = shift + Double(row) / Double(batch)
      return (place < 1 ? place : place - 1) * Double(steps - 1)
    }
  }
}
