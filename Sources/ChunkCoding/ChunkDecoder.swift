/// Decodes chunks of every version and codec this build has, by what their front says.
///
/// Not for use from two threads at once.
package final class ChunkDecoder {
  private let plain: PlainCodec
  private let modelled: ModelledDecoder

  /// - Parameter states: sets of start states besides set 0 and the built-in one, which are always known.
  /// - Throws: `.outOfMemory`.
  package init(states: [StartStates] = []) throws(ChunkError) {
    plain = try PlainCodec()
    modelled = try ModelledDecoder(states: states)
  }

  /// - Throws: `.unknownCodec`, `.missingStates` beside the errors of the codec itself.
  package func decode(_ bytes: UnsafeRawBufferPointer) throws(ChunkError) -> ChunkRows {
    guard bytes.count >= 2 else { throw .truncated }
    switch bytes[1] {
    case PlainCodec.id: return try plain.decode(bytes)
    case ModelledCodec.id: return try modelled.decode(bytes)
    default: throw .unknownCodec(bytes[1])
    }
  }

  /// Decodes times and numbers only, into memory that is used again.
  ///
  /// - Parameters:
  ///   - chunk: what it held is lost, also when this throws.
  ///   - only: positions of the columns wanted, in the header's order; nil: all. What lies behind the last of them costs
  ///     nothing; columns before it are decoded and not handed over.
  /// - Throws: as the other form.
  package func decode(
    _ bytes: UnsafeRawBufferPointer, into chunk: inout DecodedChunk, only: Set<Int>? = nil
  ) throws(ChunkError) {
    let header = try ChunkHeader(bytes, checksum: true)
    chunk.clear(header)
    switch header.codec {
    case PlainCodec.id: chunk.take(try plain.decode(bytes), only: only)
    case ModelledCodec.id: try modelled.decode(bytes, header, into: &chunk, only: only)
    default: throw .unknownCodec(header.codec)
    }
  }
}
