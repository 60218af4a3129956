#!/usr/bin/env python3
"""Times a distillation step of PyTorch: ResNet-56 to ResNet-20 on images of CIFAR's size, channels last.

    python3 tools/bench/torch_distill.py [--batch 512] [--device cuda] [--precision bf16] [--augment] [--seconds 10]

The step is that of `apprentice bench step resnet20 --teacher resnet56`: the teacher's logits without gradients,
0.5 CE + 0.5 T^2 KL at T = 4, backward, SGD with momentum, on one batch. With --augment each step first gathers
images of bytes that lie on the device, shifts them by up to four pixels, mirrors and normalises them, as training
does. f32 is without TF32. Prints one line of JSON; epoch_s is that of 50,000 images.
"""

import argparse
import json
import statistics
import time

import torch
import torch.nn.functional as F
from torch import nn

IMAGES = 50000


class Block(nn.Module):
    def __init__(self, narrow, wide, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(narrow, wide, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(wide)
        self.conv2 = nn.Conv2d(wide, wide, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(wide)
        self.stride, self.more = stride, wide - narrow

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.more:
            half = self.more // 2
            x = F.pad(x[:, :, ::self.stride, ::self.stride], (0, 0, 0, 0, half, self.more - half))
        return F.relu(y + x)


class ResNet(nn.Module):
    """Of 6 n + 2 layers, without parameters in its shortcuts (He et al. 2016, option A)."""

    def __init__(self, depth):
        super().__init__()
        blocks, narrow = [], 16
        for stage, wide in enumerate((16, 32, 64)):
            for i in range((depth - 2) // 6):
                blocks.append(Block(narrow, wide, 2 if stage and not i else 1))
                narrow = wide
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.blocks, self.linear = nn.Sequential(*blocks), nn.Linear(64, 10)

    def forward(self, x):
        return self.linear(self.blocks(self.stem(x)).mean((2, 3)))


def augment(bytes_, mean, std, batch):
    """Images of random ids, each with a shift and a mirroring of its own."""
    device = bytes_.device
    ids = torch.randint(0, len(bytes_), (batch,), device=device)
    top = torch.randint(0, 9, (batch, 1, 1), device=device)
    left = torch.randint(0, 9, (batch, 1, 1), device=device)
    mirrored = torch.rand(batch, 1, 1, device=device) < 0.5
    rows = torch.arange(32, device=device).view(1, 32, 1) + top
    columns = torch.arange(32, device=device).view(1, 1, 32)
    columns = torch.where(mirrored, 31 - columns, columns) + left
    padded = F.pad(bytes_[ids], (0, 0, 4, 4, 4, 4))  # NHWC
    images = padded[torch.arange(batch, device=device).view(-1, 1, 1), rows, columns]
    return ((images.float() / 255 - mean) / std).permute(0, 3, 1, 2)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--precision", choices=("f32", "tf32", "bf16"), default="bf16")
    parser.add_argument("--augment", action="store_true")
    parser.add_argument("--seconds", type=float, default=10)
    o = parser.parse_args()
    device = torch.device(o.device)
    torch.manual_seed(0)
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = o.precision == "tf32"

    def network(depth):
        return ResNet(depth).to(device).to(memory_format=torch.channels_last)

    student, teacher = network(20).train(), network(56).eval()
    optimizer = torch.optim.SGD(student.parameters(), lr=0.02, momentum=0.9, weight_decay=1e-4)
    data = torch.randint(0, 256, (IMAGES, 32, 32, 3), dtype=torch.uint8, device=device)
    mean = torch.tensor([0.4914, 0.4822, 0.4465], device=device)
    std = torch.tensor([0.2470, 0.2435, 0.2616], device=device)
    labels = torch.randint(0, 10, (o.batch,), device=device)

    fixed = augment(data, mean, std, o.batch)

    def step():
        with torch.autocast(device.type, torch.bfloat16, enabled=o.precision == "bf16"):
            x = augment(data, mean, std, o.batch) if o.augment else fixed
            with torch.no_grad():
                soft = F.log_softmax(teacher(x).float() / 4, 1)
            y = student(x).float()
            kl = F.kl_div(F.log_softmax(y / 4, 1), soft, reduction="batchmean", log_target=True)
            loss = 0.5 * F.cross_entropy(y, labels) + 0.5 * 16 * kl
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    def wait():
        if device.type == "cuda":
            torch.cuda.synchronize()

    for _ in range(3):
        step()
    wait()
    times, begin = [], time.perf_counter()
    while len(times) < 5 or time.perf_counter() - begin < o.seconds:
        start = time.perf_counter()
        for _ in range(10):  # between waits, so that the host may run ahead
            step()
        wait()
        times.append((time.perf_counter() - start) / 10)
    median = statistics.median(times)
    print(json.dumps({"torch": torch.__version__, "device": str(device), "precision": o.precision, "batch": o.batch,
                      "augment": o.augment, "median_ms": median * 1e3, "epoch_s": median * IMAGES / o.batch}, separators=(",", ":")))


if __name__ == "__main__":
    main()
