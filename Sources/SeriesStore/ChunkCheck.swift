import ChunkCoding
import KeyValueStore

/// Decodes stored chunks one by one and holds each against its key: what `vigil verify` asks of this room.
package struct ChunkCheck {
  private let decoder: ChunkDecoder
  /// Below this position every sample is in a chunk; nil when the store cannot say it.
  package let sealFloor: UInt64?

  /// - Parameter store: whose chunks they are.
  package init(_ store: Store) throws(SeriesError) {
    decoder = try SealCodec(store).makeDecoder()
    let family = try storing { () throws(StoreError) in try store.family("state") }
    sealFloor = (try? ReadPlan(store: store, family: family, snapshot: nil))?.sealFloor
  }

  /// Why a chunk cannot be used; nil when it can.
  ///
  /// - Parameters:
  ///   - patients: numbers of patients below this exist; so for `devices`.
  package func complaint(
    key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer, patients: UInt32, devices: UInt32
  ) -> String? {
    do throws(SeriesError) {
      let place = try ChunkKey(key)
      let header = try decoding { () throws(ChunkError) in try ChunkHeader(value, checksum: true) }
      let rows = try decoding { () throws(ChunkError) in try decoder.decode(value) }
      guard rows.patient == place.group.patient, rows.device == place.group.device,
        rows.times.first == place.firstTime, rows.firstPosition == place.firstPosition
      else { return "the chunk is of another key" }
      guard header.rowCount == rows.times.count, header.lastTime == rows.times.last else {
        return "the header does not say what the rows are"
      }
      guard place.group.patient < patients, place.group.device < devices else {
        return "its patient or device is not registered"
      }
      return nil
    } catch {
      return error.description
    }
  }

  /// Why the rollups of a day cannot be used; nil when they can.
  package func complaint(
    rollups key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer, patients: UInt32, devices: UInt32
  ) -> String? {
    do throws(SeriesError) {
      let day = try RollupKey.day(key)
      _ = try RollupDay(value, start: day.start)
      return day.group.patient < patients && day.group.device < devices
        ? nil : "its patient or device is not registered"
    } catch {
      return error.description
    }
  }
}
