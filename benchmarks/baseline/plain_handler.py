"""The peer in ``bench_serving.py``: a handler as TorchServe's examples write it.

One image a request, Pillow and torchvision transforms, eager torch with its own choice of threads, no batching. Same
weights and same preprocessing as the archive, so that only the way of serving differs.
"""

import io
import json
from pathlib import Path

import timm
import torch
from PIL import Image
from torchvision import transforms


class PlainHandler:
    """Preprocess, infer, postprocess."""

    def initialize(self, context):
        folder = Path(context.system_properties["model_dir"])
        info = json.loads((folder / "backbone.json").read_text())
        spec = info["preprocessing"]
        self.labels = json.loads((folder / "labels.json").read_text())
        self.model = timm.create_model(info["architecture"], num_classes=info["num_classes"])
        self.model.load_state_dict(torch.load(folder / "backbone.pt", map_location="cpu", weights_only=True))
        self.model.eval()
        self.transform = transforms.Compose(
            [
                transforms.Resize(spec["resize_px"], interpolation=transforms.InterpolationMode(spec["interpolation"])),
                transforms.CenterCrop(spec["input_px"]),
                transforms.ToTensor(),
                transforms.Normalize(spec["mean"], spec["std"]),
            ]
        )

    def handle(self, data, context):
        """Top-5 labels of each image."""
        images = [row.get("data") or row.get("body") for row in data]
        batch = torch.stack([self.transform(Image.open(io.BytesIO(image)).convert("RGB")) for image in images])
        with torch.no_grad():
            probabilities = torch.softmax(self.model(batch), dim=1)
        confidences, indices = probabilities.topk(5)
        return [
            {self.labels[index]: confidence for index, confidence in zip(row.tolist(), values.tolist(), strict=True)}
            for row, values in zip(indices, confidences, strict=True)
        ]
