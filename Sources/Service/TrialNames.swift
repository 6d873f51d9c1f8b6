import Pipeline
import VitalModel

/// A directory's names, with one parameter of some patients set otherwise than the rosters say: for replays that try it.
final class TrialNames: NameSource {
  private let directory: Directory
  private let trials: [UInt32: ParameterSetting]

  init(directory: Directory, trials: [UInt32: ParameterSetting]) {
    self.directory = directory
    self.trials = trials
  }

  func patientFacts(_ patient: UInt32, roster: Int) -> PatientFacts {
    var facts = directory.patientFacts(patient, roster: roster)
    if let trial = trials[patient] {
      facts.settings.removeAll { $0.rule == trial.rule && $0.parameter == trial.parameter }
      facts.settings.append(trial)
    }
    return facts
  }

  func deviceName(_ device: UInt32) -> String { directory.deviceName(device) }
  func sourceName(_ source: UInt16) -> String { directory.sourceName(source) }
  func cadence(device: UInt32, code: VitalCode, roster: Int, at time: Int64) -> Int64 {
    directory.cadence(device: device, code: code, roster: roster, at: time)
  }
}
