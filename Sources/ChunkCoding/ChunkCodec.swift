import Compression

/// Why rows could not be packed, or bytes are no chunk.
package enum ChunkError: Error, Equatable, Sendable {
  /// The rows break a promise of ``ChunkRows`` or a bound of ``ChunkLimits``: a fault of the caller.
  case notWellFormed
  /// The bytes end early.
  case truncated
  /// The checksum does not fit the bytes.
  case checksum
  /// Written in a format version this build does not know.
  case unknownVersion(UInt8)
  /// Packed with a codec this build does not have.
  case unknownCodec(UInt8)
  /// Packed from start states that are not here: a set's number.
  case missingStates(UInt32)
  /// The checksum fits and the contents do not; the text names the field and holds no value.
  case corrupt(String)
  /// No memory for the packer.
  case outOfMemory
}

extension ChunkError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .notWellFormed: "rows do not fit a chunk"
    case .truncated: "a chunk ends early"
    case .checksum: "a chunk's checksum does not fit"
    case .unknownVersion(let version): "a chunk has format version \(version)"
    case .unknownCodec(let codec): "a chunk has codec \(codec)"
    case .missingStates(let number): "a chunk needs start states \(number), which are not here"
    case .corrupt(let field): "a chunk is damaged: \(field)"
    case .outOfMemory: "no memory to pack a chunk"
    }
  }
}

/// A way to pack the body of a chunk. The header is the same for all, so that dashboards never need the body.
///
/// A codec holds working memory and is not for use from two threads at once.
package protocol ChunkCodec {
  /// The number in the header; never reused.
  static var id: UInt8 { get }
  /// - Throws: `.notWellFormed`, `.outOfMemory`.
  func encode(_ rows: ChunkRows) throws(ChunkError) -> [UInt8]
  /// - Throws: every other case; nothing in `bytes` makes it trap.
  func decode(_ bytes: UnsafeRawBufferPointer) throws(ChunkError) -> ChunkRows
}

extension ChunkCodec {
  /// Decodes an array; see the pointer form.
  package func decode(_ bytes: [UInt8]) throws(ChunkError) -> ChunkRows {
    let result: Result<ChunkRows, ChunkError> = bytes.withUnsafeBytes { raw in
      Result { () throws(ChunkError) in try decode(raw) }
    }
    return try result.get()
  }
}

extension ChunkError {
  /// The chunk's word for a failed read of its bytes.
  init(_ error: ByteError, in field: String) {
    switch error {
    case .truncated: self = .truncated
    case .varintTooLarge, .notUTF8: self = .corrupt(field)
    }
  }
}

/// Runs reads of one field and names it when they fail.
@inline(__always)
func reading<Value>(_ field: String, _ body: () throws(ByteError) -> Value) throws(ChunkError) -> Value {
  do throws(ByteError) { return try body() } catch { throw ChunkError(error, in: field) }
}
