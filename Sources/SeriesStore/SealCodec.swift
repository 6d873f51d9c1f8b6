import ChunkCoding
import KeyValueStore
import VitalModel

/// The one place that says how this store's chunks are packed and unpacked.
struct SealCodec: Sendable {
  private let store: Store
  private let names: @Sendable (VitalCode) -> String?

  /// - Parameters:
  ///   - store: with the start states it keeps.
  ///   - names: the registry's key of a code, by which a model is chosen; only packing asks.
  init(_ store: Store, names: @escaping @Sendable (VitalCode) -> String? = { _ in nil }) {
    self.store = store
    self.names = names
  }

  /// A packer for one round of sealing or merging, starting from the newest set of states that can be read; not for use
  /// from two threads at once.
  func makeEncoder() throws(SeriesError) -> any ChunkCodec {
    let states = try StatesShelf(store).readable().last ?? .builtIn
    return try decoding { () throws(ChunkError) in try ModelledCodec(states: states, names: names) }
  }

  /// An unpacker of every codec this build has, with the states of this store; not for use from two threads at once.
  func makeDecoder() throws(SeriesError) -> ChunkDecoder {
    let states = try StatesShelf(store).readable()
    return try decoding { () throws(ChunkError) in try ChunkDecoder(states: states) }
  }
}
