/// Something that the user can mend, said in one sentence.
public struct UserError: Error, CustomStringConvertible, Equatable {
  public let description: String
  public init(_ description: String) { self.description = description }
}
