import ChunkCoding
import KeyValueStore
import Synchronization
import VitalModel

/// The one place that says how this store's chunks are packed and unpacked. Copies share the sets of states read so far.
struct SealCodec: Sendable {
  private let store: Store
  private let names: @Sendable (VitalCode) -> String?
  private let known = KnownStates()

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
    let states = try StatesShelf(store).readable(known).last ?? .builtIn
    return try decoding { () throws(ChunkError) in try ModelledCodec(states: states, names: names) }
  }

  /// An unpacker of every codec this build has, with the states of this store; not for use from two threads at once.
  func makeDecoder() throws(SeriesError) -> ChunkDecoder {
    let states = try StatesShelf(store).readable(known)
    return try decoding { () throws(ChunkError) in try ChunkDecoder(states: states) }
  }
}

/// Sets of states read from one store, by number: a set never changes, so each is read once. From any thread.
final class KnownStates: Sendable {
  private let sets = Mutex<[UInt32: StartStates]>([:])

  subscript(number: UInt32) -> StartStates? { sets.withLock { $0[number] } }

  func add(_ states: StartStates) { sets.withLock { $0[states.id] = states } }
}
