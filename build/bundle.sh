#!/usr/bin/env bash
# Makes one folder that runs the sample, the tests, the multi-process driver and the benchmarks on a Linux x64 machine that has
# PyTorch's libtorch but no .NET:  build/bundle.sh OUTPUT [program...]   (programs: Mnist Tests Driver Benchmarks)
# There:  OUTPUT/run TORCH_LIB Mnist [options], or run TORCH_LIB Tests tests [part of a name],   with TORCH_LIB the folder of libtorch.so, for instance
#   $(python -c 'import torch, os; print(os.path.join(torch.__path__[0], "lib"))')
# "run" first checks that the libtorch has every symbol that TorchSharp's native library needs, and says so if it has not.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
out=${1:?usage: build/bundle.sh OUTPUT [Mnist] [Tests] [Driver] [Benchmarks]}; shift
programs=("$@"); [ ${#programs[@]} -gt 0 ] || programs=(Mnist Tests Driver Benchmarks)
mkdir -p "$out"; out=$(cd "$out" && pwd)
for program in "${programs[@]}"; do
  case $program in
    Mnist) project=samples/Mnist ;;
    Tests) project=tests/Dho2.Tests ;;
    Driver) project=tests/Dho2.MultiProcess.Driver ;;
    Benchmarks) project=benchmarks/Dho2.Benchmarks ;;
    *) echo "No program '$program': Mnist, Tests, Driver, Benchmarks." >&2; exit 2 ;;
  esac
  dotnet publish "$root/$project" -c Release -r linux-x64 --self-contained -o "$out/$program" -v q -nologo
  # libtorch is the other machine's own.
  find "$out/$program" -maxdepth 1 -type f \( -name 'libtorch*' -o -name 'libc10*' -o -name 'libgomp*' -o -name 'libcudart*' -o -name 'libnvrtc*' -o -name '*.pdb' \) -delete
done
cat > "$out/run" <<'RUN'
#!/usr/bin/env bash
# run TORCH_LIB PROGRAM [options]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ $# -ge 2 ] || { echo "usage: run TORCH_LIB PROGRAM [options]; programs: $(cd "$here" && ls -d */ | tr -d / | tr '\n' ' ')" >&2; exit 2; }
torch=$1 program=$2; shift 2
[ -f "$torch/libtorch.so" ] || { echo "$torch has no libtorch.so: give the folder 'lib' of PyTorch's package or of libtorch." >&2; exit 2; }
[ -d "$here/$program" ] || { echo "The bundle has no program '$program'." >&2; exit 2; }
native=$here/$program/libLibTorchSharp.so
export LD_LIBRARY_PATH="$torch${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
# A weak version is one that the library can do without: the build has made it so for machines with older C++ libraries.
missing=$(LD_BIND_NOW=1 ldd -r "$native" 2>&1 | grep -E 'undefined symbol|not found' | grep -v 'weak version' || true)
if [ -n "$missing" ]; then
  count=$(wc -l <<< "$missing")
  echo "The libtorch in $torch cannot serve: TorchSharp's native library misses $count symbols or libraries there. It was made for libtorch 2.10.0 with the C++11 ABI. The first:" >&2
  sed -nE '1,5s/^[[:space:]]*/  /p' <<< "$missing" >&2
  exit 3
fi
# TorchSharp looks for libtorch beside itself.
for library in "$torch"/*.so*; do ln -sf "$library" "$here/$program/"; done
cd "$here/$program"
exec "./$(ls *.runtimeconfig.json | head -1 | sed 's/\.runtimeconfig\.json$//')" "$@"
RUN
chmod +x "$out/run"
du -sh "$out" | cut -f1 | sed "s|^|The bundle $out has |"
