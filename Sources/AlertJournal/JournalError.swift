import KeyValueStore

/// Why the bytes of one stored value cannot be used.
package enum Damage: Error, Hashable, Sendable {
  /// Fewer bytes than the smallest value of its kind.
  case tooShort(bytes: Int)
  /// The checksum does not match the bytes.
  case checksum
  /// A later version of the program wrote it.
  case laterVersion(UInt8)
  /// The checksum matches and the content does not follow the format; the text names the field.
  case malformed(String)
  /// The key does not follow the format.
  case key
  /// Positions from the error's position through this one are not in the journal.
  case missing(through: UInt64)
}

/// Why the journal or one of its tables could not do as asked. Texts hold no patient data.
package enum JournalError: Error, Equatable, Sendable {
  /// The store refused; see `StoreError` for what can be retried.
  case store(StoreError)
  /// One value is unusable; the others are not affected. `position` is the journal position, number or order of its key.
  case damaged(family: String, position: UInt64, Damage)
  /// The caller's text is longer than a record or key may hold.
  case tooLong(bytes: Int, limit: Int)
}

extension Damage: CustomStringConvertible {
  package var description: String {
    switch self {
    case .tooShort(0): "empty, or sealed and not to be opened: damaged, moved, or its key is gone"
    case .tooShort(let bytes): "only \(bytes) bytes long"
    case .checksum: "the checksum does not match"
    case .laterVersion(let version): "written in version \(version), which this program does not know"
    case .malformed(let field): "the checksum matches, but \(field) is not as the format says"
    case .key: "the key is not as the format says"
    case .missing(let through): "missing, with all positions through \(through)"
    }
  }
}

extension JournalError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .store(let error): error.description
    case .damaged(let family, let position, let damage): "\(family) value \(position) is unusable: \(damage)"
    case .tooLong(let bytes, let limit): "a text of \(bytes) bytes, of which at most \(limit) can be stored"
    }
  }
}

extension JournalError {
  /// The same trouble in the words of the store, for opening, which has one kind of error.
  var asStoreError: StoreError {
    if case .store(let error) = self { return error }
    return .corruption(description)
  }
}

/// Runs a call on the store and gives its error this room's type.
func storing<Value>(_ call: () throws(StoreError) -> Value) throws(JournalError) -> Value {
  do throws(StoreError) { return try call() } catch { throw .store(error) }
}
