"""A cross-encoder of one small layer, with weights by chance."""

from pathlib import Path

from retrieval.embedding import packaged_embedder_path


def save_cross_encoder(folder: Path, **config: object) -> Path:
    """Write the folder and return it; `config` goes to BERT's configuration."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    tokenizer = AutoTokenizer.from_pretrained(packaged_embedder_path())
    torch.manual_seed(0)
    small = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        **config,
    )
    BertForSequenceClassification(small).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
